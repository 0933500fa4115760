"""Every end token of ``generation_config.json`` ends a turn: a chat model may have several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from broken_models import copied, with_json

from gramr2.backends.base import Decoding, GenerationRequest
from gramr2.backends.pretrained import end_tokens
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Message
from gramr2.judgment import FinishReason


@pytest.mark.parametrize(("stated", "ends"), [([65, 66], {65, 66}), (65, {65}), (None, set())])
def test_they_end_an_answer(tiny_model: Path, tmp_path: Path, stated: object, ends: set[int]) -> None:
    folder = with_json(copied(tiny_model, tmp_path / "m"), "generation_config.json", eos_token_id=stated)
    backend = TransformersBackend(folder, device="cpu", dtype="float32")
    assert ends <= end_tokens(backend.model)
    request = GenerationRequest((Message("user", "Q"),), (0,), Decoding(0.0))
    for token in (65, 66, 67):
        row = backend._stepper.start(request, 0, 0, 1)
        logits = torch.zeros(1, backend.config.vocab_size)
        logits[0, token] = 9.0
        backend._stepper.step([row], logits, {})
        assert (row.finish is FinishReason.STOP) == (token in ends)


def test_what_ends_an_answer_is_part_of_the_models_id(tiny_model: Path, tmp_path: Path) -> None:
    """An answer in a journal must not be taken for that of a model that ends elsewhere."""
    plain = copied(tiny_model, tmp_path / "a" / "m")
    more = with_json(copied(tiny_model, tmp_path / "b" / "m"), "generation_config.json", eos_token_id=[65, 256])
    ids = [TransformersBackend(each, device="cpu", dtype="float32").id for each in (plain, more)]
    assert ids[0] != ids[1]
