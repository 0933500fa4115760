"""A model is given its cache by the name that its version of transformers, or its own code, knows."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from gramr2.backends.cache import with_cache
from gramr2.backends.pretrained import open_causal
from gramr2.config.training import TrainingConfig
from gramr2.training.lora import adapters


class Old:
    def forward(self, input_ids: Any, past_key_values: Any = None, use_cache: bool = False) -> None: ...


class New:
    def forward(self, input_ids: Any, cache: Any = None, use_cache: bool = False) -> None: ...


@pytest.mark.parametrize(("kind", "name"), [(Old, "past_key_values"), (New, "cache")])
def test_the_name_is_the_one_in_the_signature(kind: type, name: str) -> None:
    cache = DynamicCache()
    assert with_cache(kind(), cache) == {name: cache, "use_cache": True}


@pytest.mark.parametrize("adapted", [False, True])
def test_transformers_does_not_warn_of_an_old_name(tiny_model: Path, adapted: bool) -> None:
    model = open_causal(tiny_model, dtype=torch.float32)
    if adapted:
        from peft import get_peft_model

        config = TrainingConfig.model_validate({"method": "lora"})
        model = get_peft_model(model, adapters(config, "CAUSAL_LM"))
    cache = DynamicCache(config=model.config)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*past_key_values.*")
        model(input_ids=torch.tensor([[1, 2]]), **with_cache(model, cache))
    assert cache.get_seq_length() == 2
