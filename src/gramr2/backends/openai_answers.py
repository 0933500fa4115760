"""What a chat API sends back, read without trust: every shape is a completion, or a failed one that says what came instead.

The shapes are those seen from OpenAI, vLLM, llama.cpp, SGLang, Mistral, OpenRouter and the proxies in front of them.
"""

from __future__ import annotations

import json
import math
from typing import Any

from gramr2.backends.base import Completion, VerdictReading
from gramr2.judgment import FinishReason

SHOWN = 200
"""characters of a server's own words that a message repeats"""


def completion_of(raw: str, prefill: str, reading: VerdictReading | None) -> Completion:
    """The completion in the body of a response with status 200.

    Args:
        raw: the body.
        prefill: what the answer should begin with; the model was not given it.
        reading: where the label is, if there is one.
    """
    if not raw.strip():
        return failed("the server sent an empty answer")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        hint = ": is the address right? It usually ends in /v1" if raw.lstrip().startswith("<") else ""
        return failed(f"the server sent text that is not JSON, {_short(raw)!r}{hint}")
    if not isinstance(body, dict):
        return failed(f"the server sent JSON that is not an object, {_short(raw)!r}")
    if body.get("error"):
        return failed(f"the server reported an error: {told(body)}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return failed("the server returned no choices")
    return _of_choice(choices[0], _dict(body.get("usage")), prefill, reading)


def failed(error: str) -> Completion:
    """A completion that failed, with the reason."""
    return Completion("", FinishReason.ERROR, error=_encodable(error))


def told(body: Any) -> str:
    """The server's own sentence in an error's body: OpenAI's, FastAPI's, or whatever text there is."""
    found = body
    while isinstance(found, dict):
        inner = next((found[key] for key in ("error", "message", "detail", "msg") if found.get(key)), None)
        if inner is None:
            break
        found = inner
    return _short(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


def _of_choice(
    choice: dict[str, Any], usage: dict[str, Any], prefill: str, reading: VerdictReading | None
) -> Completion:
    finish, message = choice.get("finish_reason"), choice.get("message")
    if finish == "content_filter":
        return failed("the server's content filter stopped the answer")
    if not isinstance(message, dict):
        reason = f" (finish_reason {finish})" if isinstance(finish, str) else ""
        return failed(f"the server returned no message{reason}{_reported(choice)}")
    content, thinking = _parts(message.get("content"))
    if finish == "error":
        return failed(f"the server broke off the answer{_reported(choice)}")
    refusal = message.get("refusal")
    if not content.strip() and isinstance(refusal, str) and refusal.strip():
        return failed(f"the model refused: {_short(refusal)}")
    if not content.strip() and message.get("tool_calls"):
        return failed("the model called a tool instead of answering")
    # Servers that remove a model's thinking from the answer return it in a field of its own.
    apart = message.get("reasoning_content") or message.get("reasoning")
    thinking = thinking or (apart if isinstance(apart, str) else "")
    cut = finish == "length"
    if not cut and not content.strip() and not thinking.strip():
        return failed("the server returned an empty message")
    text = _encodable(_text(content, thinking, prefill, reading, cut))
    return Completion(
        text=text,
        finish_reason=FinishReason.LENGTH if cut else FinishReason.STOP,
        label_logprobs=_label_logprobs(choice.get("logprobs"), reading) if reading else None,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


def _text(content: str, thinking: str, prefill: str, reading: VerdictReading | None, cut: bool) -> str:
    """What the model wrote, in the form of a completion with a prefill."""
    if thinking and "</think>" not in content:
        thinking = thinking.strip()
        if reading and not content.strip() and not cut and thinking.endswith(reading.end):
            # The model never closed its thinking, so the server took the verdict for the end of it.
            thinking, anchor, verdict = thinking.rpartition(reading.anchor)
            content = anchor + verdict
        content = f"<think>\n{thinking.strip()}\n</think>\n{content}"
    if prefill == "<answer>" and "<answer>" not in content:
        # A model that is asked only for the verdict may leave the tags out.
        rest = content.rpartition("</think>")[2].strip()
        return f"<answer>{rest}</answer>"
    return content


def _parts(content: Any) -> tuple[str, str]:
    """Text and thinking of a message's content, which is a text, or a list of blocks such as ``{"type": "text", "text": …}``."""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, dict):
        content = [content]
    text: list[str] = []
    thinking: list[str] = []
    for block in content if isinstance(content, list) else ():
        if isinstance(block, str):
            text.append(block)
        elif isinstance(block, dict):
            inside = block.get("thinking", block.get("reasoning"))
            if inside is not None:
                thinking.append("".join(_parts(inside)))
            elif isinstance(block.get("text"), str):
                text.append(block["text"])
    return "".join(text), "".join(thinking)


def _label_logprobs(sent: Any, reading: VerdictReading) -> dict[str, float] | None:
    """Log-probabilities of the labels at the token after the last anchor, normalised over the labels.

    A label that is not among the server's alternatives gets the probability of the least likely one, which is an upper bound.
    """
    tokens = _dict(sent).get("content")
    text, place = "", None
    for each in tokens if isinstance(tokens, list) else ():
        token = _dict(each).get("token")
        if not isinstance(token, str):
            return None
        if text.rstrip().endswith(reading.anchor) and token.strip():
            place = each
        text += token
    if place is None:
        return None
    listed = place.get("top_logprobs")
    alternatives = [
        (each["token"].strip(), float(each["logprob"]))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and isinstance(each.get("token"), str) and _is_logprob(each.get("logprob"))
    ]
    found: dict[str, float] = {}
    for word, logprob in alternatives:
        starts = [label for label in reading.labels if word and label.startswith(word)]
        named = [word] if word in reading.labels else starts
        if len(named) == 1:
            found[named[0]] = max(found.get(named[0], -math.inf), logprob)
    if not found:
        return None
    least = min(logprob for _, logprob in alternatives)
    values = {label: max(found.get(label, least), -100.0) for label in reading.labels}
    total = math.log(sum(math.exp(value) for value in values.values()))
    return {label: value - total for label, value in values.items()}


def _is_logprob(value: Any) -> bool:
    """JSON of a broken server may have NaN, infinity, null or a text here; a rounding error above 0 is harmless."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value < 1.0


def _reported(choice: dict[str, Any]) -> str:
    return f": {told(choice)}" if choice.get("error") else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _short(text: str) -> str:
    line = (text.strip().splitlines() or [""])[0]
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def _encodable(text: str) -> str:
    """JSON can escape half of a surrogate pair, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
