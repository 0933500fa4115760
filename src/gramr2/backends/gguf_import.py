"""GGUF files as models that can be trained: read through transformers, de-quantised, saved as safetensors."""

from __future__ import annotations

import logging
from pathlib import Path

from gramr2.errors import ModelError

log = logging.getLogger("gramr2")

MAGIC = b"GGUF"


def convert(gguf: Path, into: Path) -> None:
    """Write ``gguf`` as a transformers model folder with its tokenizer and chat template, in fp32.

    Raises:
        ModelError: it is not a GGUF file, is cut off, or has an architecture that transformers does not read.
    """
    with gguf.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ModelError(f"{gguf} is not a GGUF file (it does not begin with the letters GGUF)")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
        config = model.config
        # transformers refuses to save a model that says it is quantised; its weights no longer are.
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(model.state_dict())
        plain.generation_config = model.generation_config
        plain.save_pretrained(into)
        tokenizer.save_pretrained(into)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{gguf} cannot be read as a language model: {reason}") from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    log.info("converted %s: %d tensors, fp32", gguf.name, len(plain.state_dict()))
