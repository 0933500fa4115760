"""Whether comparisons fit the judge, decided before any work as far as that is possible.

Tokenising is the work: a prompt with 64 references would be tokenised 64 times. So texts that cannot fit are refused by their
length, texts that must fit are let through by it, and of the rest every text is tokenised once, and one at a time in the server.
The model's thread checks the exact prompt again, so an estimate here need only be close.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from gramr2.comparison import Comparison, Message
from gramr2.errors import PromptTooLongError
from gramr2.judging.budget import BRIDGE_TOKENS
from gramr2.judging.scalar import ScalarJudge
from gramr2.serving.queued import QueuedJudge

MOST_CHARACTERS_PER_TOKEN = 32
"""natural text has about four; more than this on average is not worth the tokenising"""
SLACK = 16
"""tokens by which the parts of a prompt may differ from the whole"""


class SizeCheck:
    """Checks the comparisons of requests, for all threads of a server."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def check(self, judge: QueuedJudge, comparisons: Sequence[Comparison], answer: int | None = None) -> None:
        """Refuse comparisons that do not fit.

        Args:
            judge: to be asked.
            comparisons: what it is asked.
            answer: tokens that it may write; default: as many as it usually may.

        Raises:
            PromptTooLongError: one does not fit; names it.
            LateError: the deadline passed before all were counted.
            GoneError: the client has hung up.
        """
        own = judge.served
        if isinstance(own, ScalarJudge):
            self._check_rewarded(judge, own, comparisons)
            return
        backend, allowed = own.backend, _allowed(judge, answer)
        parts = [(each.id, (each.prompt_text, *each.responses)) for each in comparisons]
        for name, texts in parts:
            self.bound(judge, sum(map(len, texts)), answer, name)
        frame = backend.count_tokens(
            own.template.render(Comparison("", (Message("user", ""),), ("", ""))), own.template.prefill
        )
        # No tokenizer makes more tokens than there are bytes.
        unsure = [each for each in parts if frame + sum(len(text.encode()) for text in each[1]) > allowed]
        counted: dict[str, int] = {}
        for name, texts in unsure:
            for text in texts:
                if text not in counted:
                    with judge.turn(self._turn):
                        counted[text] = backend.count_tokens((), text)
            tokens = frame + sum(counted[text] for text in texts)
            if tokens > allowed + SLACK:
                raise _too_long(name, f"about {tokens} tokens", allowed)

    def bound(self, judge: QueuedJudge, characters: int, answer: int | None = None, name: str = "0") -> None:
        """Refuse a text that cannot fit, by its length. Raises PromptTooLongError."""
        if characters > (allowed := _allowed(judge, answer)) * MOST_CHARACTERS_PER_TOKEN:
            raise _too_long(name, f"{characters} characters", allowed)

    def _check_rewarded(self, judge: QueuedJudge, own: ScalarJudge, comparisons: Sequence[Comparison]) -> None:
        """``check`` for a reward model, which reads each response by itself."""
        allowed = own.model.context_length
        for each in comparisons:
            longest = len(each.prompt_text) + max(map(len, each.responses))
            if longest > allowed * MOST_CHARACTERS_PER_TOKEN:
                raise _too_long(each.id, f"{longest} characters", allowed)
            with judge.turn(self._turn):
                for found in own.overlong([each]):
                    raise _too_long(found.id, f"{found.tokens} tokens", allowed)


def _allowed(judge: QueuedJudge, answer: int | None) -> int:
    """Tokens of a prompt."""
    own = judge.served
    if isinstance(own, ScalarJudge):
        return own.model.context_length
    room = own.sampling.max_new_tokens if answer is None else answer
    return own.backend.context_length - room - BRIDGE_TOKENS


def _too_long(name: str, size: str, allowed: int) -> PromptTooLongError:
    return PromptTooLongError(
        f"the request: comparison {name!r} has {size}, and the judge has room for {max(0, allowed)} tokens of prompt and "
        "responses: send shorter texts, or serve a model with a longer context"
    )
