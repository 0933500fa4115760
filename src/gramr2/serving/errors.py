"""Why a request has no answer."""

from __future__ import annotations

from gramr2.errors import GramrError


class BusyError(GramrError):
    """The queue is full; ``retry_after`` seconds from now there should be room."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the queue is full: try again later")
        self.retry_after = retry_after


class LateError(GramrError):
    """The deadline passed before there was an answer."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before there was an answer")


class GoneError(GramrError):
    """The client has hung up, so nobody waits for the answer."""

    def __init__(self) -> None:
        super().__init__("the client has hung up")


class ClosedError(GramrError):
    """The server is shutting down, or its model could not be loaded."""


class ClosedGroupError(GramrError):
    """The group was rewarded before this member came."""
