"""A backend around another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gramr2.backends.base import Backend, Completion, GenerationRequest, Score, ScoreRequest
from gramr2.comparison import Message


class WrappedBackend:
    """Passes everything on; what a subclass does otherwise, it overrides."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def id(self) -> str:
        """The backend's."""
        return self.backend.id

    @property
    def context_length(self) -> int:
        """The backend's."""
        return self.backend.context_length

    @property
    def chunk(self) -> int | None:
        """The backend's."""
        return self.backend.chunk

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """The backend's."""
        return self.backend.count_tokens(messages, answer)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, list[Completion]]]:
        """See ``Backend.generate``."""
        return self.backend.generate(requests)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """See ``Backend.score``."""
        return self.backend.score(requests)
