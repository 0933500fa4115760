"""Model folders, opened through transformers with nothing left to chance.

transformers gives random values to weights that a checkpoint lacks, and only writes so into its log: a scalar reward model
or a folder with a lost file then decides as confidently as a judge. Here such a folder is refused, and the weights named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
)

from gramr2.backends.loading import loading
from gramr2.backends.registry import ADAPTER_CONFIG
from gramr2.errors import ModelError

_OTHER_HEAD = re.compile(r"For(?!CausalLM|ConditionalGeneration)[A-Z]\w*\Z")
"""the end of a class name whose model does not write text, such as LlamaForSequenceClassification"""
NAMED = 3
"""weights that a refusal names"""
UNBOUNDED = 1 << 20
"""context of a model whose config states none"""


def open_tokenizer(folder: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
    """The tokenizer in a model or adapter folder; ``options`` are those of transformers.

    Raises:
        ModelError: it cannot be loaded.
    """
    with loading("the tokenizer", folder):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code, **options)


def speaker(folder: Path, adapter: Path | None) -> Path:
    """The folder whose tokenizer counts: the adapter's, if it has one of its own."""
    return adapter if adapter and (adapter / "tokenizer_config.json").is_file() else folder


def open_config(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The model's ``config.json``.

    Raises:
        ModelError: it cannot be read.
    """
    with loading("the config", folder):
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)


def context_of(config: Any, folder: Path) -> int:
    """``max_position_embeddings`` of a config, in tokens.

    Raises:
        ModelError: it is not a whole number above 0.
    """
    stated = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if stated is None:
        return UNBOUNDED
    if not isinstance(stated, int) or stated < 1:
        raise ModelError(f"{folder}/config.json has max_position_embeddings {stated!r}: set it to the model's context")
    return stated


def causal_config(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The config of a folder that has a whole language model.

    Raises:
        ModelError: it cannot be read, is another kind of model, or there is an adapter beside it.
    """
    _refuse_adapter_beside(folder)
    config = open_config(folder, trust_remote_code=trust_remote_code)
    refuse_other_heads(config, folder)
    return config


def open_causal(folder: Path, *, dtype: Any, trust_remote_code: bool = False) -> Any:
    """A causal language model, all of whose weights come from its safetensors, and all of them used.

    Raises:
        ModelError: it cannot be loaded, is another kind of model, or weights are missing, left over or of another shape.
    """
    causal_config(folder, trust_remote_code=trust_remote_code)
    with loading("the model", folder):
        model, told = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, trust_remote_code=trust_remote_code, **_STRICT
        )
    refuse_gaps(folder, told)
    return model


def open_scalar(
    folder: Path, *, dtype: Any = torch.float32, trust_remote_code: bool = False, new_head: bool = False
) -> Any:
    """A scalar reward model. With ``new_head``, ``folder`` is a language model: its head is left out, and the one for the reward
    is random.

    Raises:
        ModelError: see ``open_causal``.
    """
    _refuse_adapter_beside(folder)
    head = {"num_labels": 1} if new_head else {}
    with loading("the model" if new_head else "the reward model", folder):
        model, told = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=dtype, trust_remote_code=trust_remote_code, **head, **_STRICT
        )
    refuse_gaps(folder, told, within=f"{model.base_model_prefix}." if new_head else "")
    return model


def _refuse_adapter_beside(folder: Path) -> None:
    # transformers would load the model that the adapter names, whatever weights are in the folder.
    if (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(
            f"{folder} has an {ADAPTER_CONFIG} beside a model's config.json: remove what does not belong there"
        )


_STRICT = {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
"""transformers reports weights that do not fit instead of raising an error that does not name them"""


def refuse_other_heads(config: Any, folder: Path) -> None:
    """Refuse a config of a model that does not write text.

    Raises:
        ModelError: it has another head.
    """
    stated = getattr(config, "architectures", None)
    names = stated if isinstance(stated, list) else []
    others = [name for name in names if isinstance(name, str) and _OTHER_HEAD.search(name)]
    if others and len(others) == len(names):
        raise ModelError(f"{folder} holds a {others[0]}, which writes no text: give a causal language model")


def refuse_gaps(folder: Path, told: Mapping[str, Any], within: str = "") -> None:
    """Refuse a model whose weights were not all found, used and of the right shape.

    Args:
        told: transformers' loading info.
        within: prefix of the weights that count; all others may be missing or left over.

    Raises:
        ModelError: the first few of them.
    """
    missing, unused = (
        sorted(name for name in told[kind] if name.startswith(within)) for kind in ("missing_keys", "unexpected_keys")
    )
    # transformers also counts a weight of another shape as missing.
    reshaped = {
        name: (tuple(has), tuple(wants)) for name, has, wants in told["mismatched_keys"] if name.startswith(within)
    }
    if reshaped:
        name, (has, wants) = min(reshaped.items())
        raise ModelError(
            f"the model in {folder} has other shapes than its config.json states ({name} is {_shape(has)}, expected "
            f"{_shape(wants)}{_more(len(reshaped) - 1)}): restore the config.json that belongs to the weights"
        )
    if missing:
        raise ModelError(
            f"the model in {folder} lacks weights ({listed(missing)}), and random ones would stand in for them: "
            "copy or download the whole model again"
        )
    if unused:
        raise ModelError(
            f"the model in {folder} has weights for which its config.json has no place ({listed(unused)}): restore the "
            "config.json that belongs to the weights"
        )


def refuse_unembedded(model: Any, tokenizer: Any, folder: Path) -> None:
    """See ``refuse_beyond``, for a model that is loaded."""
    refuse_beyond(int(model.get_input_embeddings().weight.shape[0]), tokenizer, folder)


def refuse_beyond(rows: int, tokenizer: Any, folder: Path) -> None:
    """Refuse a tokenizer whose texts may get ids for which the model, with ``rows`` embeddings, has none.

    A special token cannot come out of a text, so one beyond the embeddings, as multimodal families have, matters only if the chat
    template writes it or a turn ends in it.

    Raises:
        ModelError: there are some.
    """
    special = {str(each) for each in tokenizer.added_tokens_decoder.values() if each.special}
    written = f"{tokenizer.chat_template}{tokenizer.bos_token}{tokenizer.eos_token}"
    beyond = sorted(
        token
        for token, id in tokenizer.get_vocab().items()
        if id >= rows and (token not in special or token in written)
    )
    if beyond:
        raise ModelError(
            f"the tokenizer in {folder} has tokens without an embedding ({listed([repr(each) for each in beyond])}; the model "
            f"has {rows}): restore the tokenizer that belongs to the model, or resize its embeddings and train it"
        )


@torch.inference_mode()
def answers(model: Any) -> torch.Tensor:
    """The last logits (vocabulary,) of a model for its token 0, twice: whether the parts of a config work together shows
    only when they are used."""
    ids = torch.zeros((1, 2), dtype=torch.long, device=model.device)
    logits: torch.Tensor = model(ids, attention_mask=torch.ones_like(ids), use_cache=False, logits_to_keep=1).logits
    return logits[0, -1]


def generation_config(folder: Path) -> Any:
    """The model's ``generation_config.json``, or None.

    Raises:
        ModelError: it cannot be read.
    """
    if not (folder / "generation_config.json").is_file():
        return None
    with loading("generation_config.json", folder):
        return GenerationConfig.from_pretrained(folder)


def end_tokens(model: Any) -> frozenset[int]:
    """See ``ends_of``, for a model that is loaded."""
    return ends_of(model.config, getattr(model, "generation_config", None))


def ends_of(config: Any, generation: Any) -> frozenset[int]:
    """The ids that end a turn, by ``config.json`` and ``generation_config.json``: chat models often have several."""
    found: set[int] = set()
    for source in (generation, config.get_text_config(decoder=True)):
        stated = getattr(source, "eos_token_id", None)
        several = stated if isinstance(stated, list | tuple) else [stated]
        found.update(each for each in several if isinstance(each, int))
    return frozenset(found)


def listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:NAMED]) + _more(len(names) - NAMED)


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _shape(sizes: tuple[int, ...]) -> str:
    return "×".join(map(str, sizes))
