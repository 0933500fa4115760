"""GGUF files as models that can be trained: read through transformers, de-quantised, saved as safetensors."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from gramr2.errors import ModelError, reason_of

log = logging.getLogger("gramr2")

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_WIDTHS = frozenset(
    {
        *("vocab_size", "embedding_length", "feed_forward_length", "expert_feed_forward_length", "expert_count"),
        *("expert_used_count", "attention.head_count", "attention.head_count_kv", "attention.key_length"),
        *("attention.value_length", "rope.dimension_count"),
    }
)
"""sizes of which none exceeds the widest tensor"""


def convert(gguf: Path, into: Path) -> None:
    """Write ``gguf`` as a transformers model folder with its tokenizer and chat template, in fp32.

    Raises:
        ModelError: it is not a GGUF file, is truncated, or has an architecture that transformers cannot read.
    """
    with gguf.open("rb") as file:
        start = file.read(8)
    if start[:4] != MAGIC:
        raise ModelError(f"{gguf} is not a GGUF file (it does not begin with the letters GGUF)")
    version = int.from_bytes(start[4:], "little")
    if version not in VERSIONS:
        raise ModelError(f"{gguf} cannot be read: it is GGUF version {version}, and only 2 and 3 are supported")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from gramr2.backends.pretrained import refuse_gaps, refuse_unembedded

    try:
        _refuse_sizes(gguf)
        with _no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name, trust_remote_code=False)
            model, told = AutoModelForCausalLM.from_pretrained(
                str(gguf.parent),
                gguf_file=gguf.name,
                dtype=torch.float32,
                trust_remote_code=False,
                output_loading_info=True,
            )
            refuse_gaps(gguf, told)
            refuse_unembedded(model, tokenizer, gguf)
            config = model.config
            # transformers refuses to save a model whose config says it is quantised; these weights no longer are.
            if hasattr(config, "quantization_config"):
                del config.quantization_config
            plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            plain.load_state_dict(model.state_dict())
            plain.generation_config = model.generation_config
            plain.save_pretrained(into)
            tokenizer.save_pretrained(into)
    except ModelError:
        raise
    except Exception as error:
        # See ``loading``: a damaged file raises nearly every type there is.
        raise ModelError(f"{gguf} cannot be read as a language model: {reason_of(error)}") from error
    log.info("converted %s: %d tensors, fp32", gguf.name, len(plain.state_dict()))


def _refuse_sizes(gguf: Path) -> None:
    """Refuse a header that promises more than the file has: with 2³¹ layers, transformers fills the memory with their names.

    Raises:
        ModelError: it has no number of layers, or more than tensors, or a width is no width of a tensor.
    """
    from gguf import GGUFReader

    reader = GGUFReader(gguf)
    tensors, widest = len(reader.tensors), max((int(n) for each in reader.tensors for n in each.shape), default=0)
    # Without it, transformers takes the number of layers of some other model, and looks for all of their tensors.
    kind = reader.fields.get("general.architecture")
    name = bytes(kind.parts[kind.data[0]]).decode("utf-8", "replace") if kind and len(kind.data) == 1 else ""
    if f"{name}.block_count" not in reader.fields:
        raise ModelError(f"{gguf} is damaged, or no language model: its header does not say how many layers it has")
    for name, entry in reader.fields.items():
        key = name.partition(".")[2]
        most = tensors if key == "block_count" else widest if key in _WIDTHS else None
        if most is None or len(entry.data) != 1:
            continue
        value = int(entry.parts[entry.data[0]][0])
        if not 0 <= value <= most:
            raise ModelError(
                f"{gguf} is damaged: its header says {name} = {value}, and its tensors allow {most} at most"
            )


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Hide progress bars; the GGUF reader's is plain tqdm, which transformers' own switch does not turn off."""
    from transformers.utils import logging as transformers_logging

    reader: Any = None
    with suppress(ImportError):
        reader = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    bar = getattr(reader, "tqdm", None)
    were_on = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    if bar:
        reader.tqdm = partial(bar, disable=True)
    try:
        yield
    finally:
        if bar:
            reader.tqdm = bar
        if were_on:
            transformers_logging.enable_progress_bar()
