"""Which engine runs a model on this machine, and how its memory comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gramr2.backends.base import Backend
from gramr2.errors import ConfigError
from gramr2.text import hint

TRANSFORMERS, VLLM = "transformers", "vllm"


@runtime_checkable
class Closable(Protocol):
    """A backend that holds memory beyond its own objects."""

    def close(self) -> None:
        """Give it back."""
        ...


def open_local(backend: str, model: str | Path, *, adapter: Path | None = None, **options: Any) -> Backend:
    """A model on this machine.

    Args:
        backend: ``transformers`` or ``vllm``.
        model: what the backend accepts.
        adapter: folder of a LoRA adapter on the model.
        options: of both backends: revision, dtype, device, trust_remote_code, chat_template_options.

    Raises:
        ConfigError: the backend is not known, or does not take an adapter.
        MissingDependencyError: vLLM is not installed.
        ModelError: there is no such model, or it cannot be loaded.
    """
    if backend == TRANSFORMERS:
        from gramr2.backends.transformers import TransformersBackend

        return TransformersBackend(model, adapter=adapter, **options)
    if backend != VLLM:
        raise ConfigError(
            f"backend {backend!r} is not known{hint(backend, (TRANSFORMERS, VLLM))}: take {TRANSFORMERS} or {VLLM}"
        )
    if adapter is not None:
        raise ConfigError(
            f"the backend vllm takes whole models: merge {adapter} and its model with gramr2 export first"
        )
    from gramr2.backends.vllm import VLLMBackend

    return VLLMBackend(model, **options)


def release(backend: Backend) -> None:
    """Give back the memory of a backend that is not needed now."""
    if isinstance(backend, Closable):
        backend.close()
