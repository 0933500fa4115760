"""Chat completions as votes: what a request asks of the judge, and a completion as a choice."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.comparison import Comparison, Message, Order
from gramr2.data.turns import BadRowError, read_prompt
from gramr2.errors import GramrError
from gramr2.judging.judge import Judge, Orders
from gramr2.judging.rendered import comparison_in, looks_rendered
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import FinishReason
from gramr2.serving.refusals import OpenAIError
from gramr2.serving.shapes.chat import ChatMessage, ChatRequest, Choice, Logprobs, TokenLogprob, TopLogprob, Usage
from gramr2.wire import turns

IN_THE_BODY = "gramr2: {prompt, responses} in the body"
_SEEDS = 1 << 31


class BrokenVoteError(GramrError):
    """The model failed where a vote was asked for."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """The votes that a request asks for: on one comparison, in the order given."""

    comparison: Comparison
    judge: Judge
    seed: int

    @classmethod
    def of(cls, body: ChatRequest, served: Judge) -> Ballot:
        """Read a request to the judge that is served.

        Raises:
            OpenAIError: it asks for no comparison, or for one under other rules.
            ConfigError: it asks for copies of one vote.
        """
        comparison, form = _asked(body, served.template)
        own, n = served.sampling, body.n or 1
        direct = form.mode is JudgeMode.LABEL
        heat = body.temperature if body.temperature is not None else (0.0 if direct else own.temperature)
        sampling = replace(
            own,
            votes=n,
            orders=Orders.FIRST,
            temperature=heat,
            top_p=own.top_p if body.top_p is None else body.top_p,
            max_new_tokens=1 if direct else (body.most or own.max_new_tokens),
        )
        seed = secrets.randbelow(_SEEDS) if body.seed is None else body.seed
        return cls(comparison, Judge(served.backend, form, sampling), seed)

    @property
    def request(self) -> GenerationRequest:
        """What the backend is asked. Its votes depend on the texts and the seed alone."""
        return self.judge.request(self.comparison, Order.AB, range(self.judge.sampling.votes), self.seed)

    @property
    def work(self) -> int:
        """Characters of the prompt, once for each vote."""
        texts = (self.comparison.prompt_text, *self.comparison.responses)
        return self.judge.sampling.votes * sum(map(len, texts))

    def outcome_of(self, completion: Completion) -> str:
        """The verdict as the judge's template reads it, or what went wrong."""
        truncated = completion.finish_reason is FinishReason.LENGTH
        return self.judge.template.read(completion.text, truncated=truncated).outcome.value

    def usage(self, request: GenerationRequest, completions: Sequence[Completion]) -> Usage:
        """The tokens as the backend counted them, or as its tokenizer does where it did not."""
        backend = self.judge.backend
        prompt = completions[0].prompt_tokens or backend.count_tokens(request.messages, request.prefill)
        written = sum(each.completion_tokens or backend.count_tokens((), each.text) for each in completions)
        return Usage(prompt_tokens=prompt, completion_tokens=written, total_tokens=prompt + written)


def judge_prompt(
    messages: Sequence[Message], template: JudgeTemplate, otherwise: str = IN_THE_BODY
) -> tuple[Comparison, JudgeTemplate]:
    """The comparison in a prompt that a client rendered, and the form in which it did.

    Args:
        messages: the prompt.
        template: the judge's.
        otherwise: what the client can send instead, for the messages.

    Raises:
        OpenAIError: it is no judge prompt, or has other rules, examples or turns than the judge's own.
    """
    found = comparison_in(template, messages)
    if found is not None:
        return found
    if not looks_rendered(messages):
        raise OpenAIError(
            f"this is a judge and not an assistant: send a judge prompt of gramr2's template, or {otherwise}",
            "messages",
            "not_a_comparison",
        )
    raise OpenAIError(
        f"the judge prompt has other rules, examples or turns than this judge's template {template.hash}: render it with "
        f"that, or send {otherwise}",
        "messages",
        "other_template",
    )


def choice_of(index: int, completion: Completion, request: GenerationRequest, top: int | None) -> Choice:
    """A completion as a choice.

    Args:
        index: its place.
        completion: of the request.
        request: tells where the verdict is.
        top: how many labels' probabilities are wanted; None for no logprobs at all.
    """
    return Choice(
        index=index,
        message=ChatMessage(content=completion.text),
        logprobs=None if top is None else logprobs_of(completion, request, top),
        finish_reason="length" if completion.finish_reason is FinishReason.LENGTH else "stop",
    )


def logprobs_of(completion: Completion, request: GenerationRequest, top: int) -> Logprobs | None:
    """The probabilities of the labels where the verdict stands; None if the backend gives none, or there is no verdict.

    What stands around the verdict is written by the server, or given: its probability is 1.
    """
    verdict, values = request.verdict, completion.label_logprobs
    if verdict is None or values is None:
        return None
    _, anchor, rest = completion.text.rpartition(verdict.anchor)
    label = next((each for each in verdict.labels if rest.startswith(each)), None)
    if not anchor or label is None:
        return None
    ranked = sorted(values, key=lambda each: (-values[each], each))
    listed = [_top(each, values[each]) for each in ranked[:top]]
    pieces = [
        TokenLogprob(**_top(anchor, 0.0).model_dump(), top_logprobs=[]),
        TokenLogprob(**_top(label, values[label]).model_dump(), top_logprobs=listed),
        TokenLogprob(**_top(rest[len(label) :], 0.0).model_dump(), top_logprobs=[]),
    ]
    return Logprobs(content=[each for each in pieces if each.token])


def sound(completions: Sequence[Completion]) -> None:
    """Refuse an answer of which a part failed: a choice has no place for that.

    Raises:
        BrokenVoteError: a vote failed.
    """
    for each in completions:
        if each.finish_reason is FinishReason.ERROR or not each.sound:
            raise BrokenVoteError(f"the model failed: {each.error or 'its label probabilities are not numbers'}")


def _top(token: str, logprob: float) -> TopLogprob:
    # JSON has no −∞.
    return TopLogprob(token=token, logprob=max(min(logprob, 0.0), -9999.0), bytes=[*token.encode()])


def _asked(body: ChatRequest, template: JudgeTemplate) -> tuple[Comparison, JudgeTemplate]:
    try:
        messages = read_prompt(body.messages) if body.messages else ()
    except BadRowError as error:
        raise OpenAIError(str(error).replace("prompt[", "messages[", 1), "messages") from error
    if body.gramr2 is None:
        return judge_prompt(messages, template)
    prompt = messages if body.gramr2.prompt is None else turns(body.gramr2.prompt)
    if messages not in ((), prompt):
        raise OpenAIError("messages and gramr2.prompt are two prompts: leave one of them out", "messages")
    if not prompt:
        raise OpenAIError("there is no prompt: give gramr2.prompt, or the conversation in messages", "gramr2.prompt")
    form = template if template.reasons else replace(template, mode=JudgeMode.LABEL)
    return Comparison.of(prompt, *body.gramr2.responses), form
