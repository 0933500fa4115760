"""Stops a run whose requests cannot succeed, before it has sent them all."""

from __future__ import annotations

import threading

PATIENCE = 12
"""failures after which a run is hopeless"""


class CircuitBreaker:
    """Counts failures of a remote model. Safe to use from several threads.

    It trips when the first ``patience`` requests have all failed, whatever the reason, and later when so many in a row have
    failed for a reason that is not the prompt's: no credit, too many requests, a server that is gone. Bad prompts do not count
    once any has been answered.
    """

    def __init__(self, patience: int = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._row = 0
        self.proven = False
        """whether any request has ever been answered"""

    def answered(self) -> None:
        """A request was answered."""
        with self._lock:
            self._row, self.proven = 0, True

    def failed(self, *, of_prompt: bool) -> int:
        """A request failed. Returns how many have failed in a row if that is too many, and starts to count again; else 0.

        Args:
            of_prompt: the reason may lie in this one prompt, so another may succeed.
        """
        with self._lock:
            if self.proven and of_prompt:
                return 0
            self._row += 1
            if self._row < self._patience:
                return 0
            count, self._row = self._row, 0
            return count
