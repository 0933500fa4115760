"""The language model that ships with the package: its files, its tokens, and what it can do before any judge's training."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.backends.base import Decoding, GenerationRequest
from gramr2.backends.encoding import Encoder
from gramr2.backends.registry import SHIPPED, resolve
from gramr2.comparison import Message
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.research.lab.comparisons import Part, draw
from gramr2.research.lab.corpus import KINDS, LAST_KINDS, Kinds, documents
from gramr2.research.lab.pretrain import IGNORED, encode
from gramr2.research.lab.problems import worked
from gramr2.research.lab.rationales import family_of, problem_of
from gramr2.research.lab.tokenizer import build

FOLDER = Path(resolve(SHIPPED))


TOKENIZER = build()


def test_it_is_small_and_loads_as_any_model() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 6 * 2**20
    assert (FOLDER / "model.safetensors").exists()
    model, shipped = AutoModelForCausalLM.from_pretrained(FOLDER), AutoTokenizer.from_pretrained(FOLDER)
    assert 1e6 <= model.num_parameters() <= 3e6
    assert len(shipped) == model.config.vocab_size
    assert shipped.chat_template


def test_the_shipped_tokenizer_is_the_one_that_the_code_builds() -> None:
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(FOLDER).get_vocab() == TOKENIZER.get_vocab()


@given(st.text(max_size=80))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    if not any(special in text for special in TOKENIZER.all_special_tokens):
        assert TOKENIZER.decode(TOKENIZER(text).input_ids, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("mode", list(JudgeMode))
def test_the_rules_are_one_token_and_a_digit_is_another(mode: JudgeMode) -> None:
    assert len(TOKENIZER(JudgeTemplate(mode).rules).input_ids) == 1
    assert len(TOKENIZER("12345").input_ids) == 5


@pytest.mark.parametrize("kinds", [KINDS, LAST_KINDS])
def test_only_the_answer_of_a_document_is_learnt(kinds: Kinds) -> None:
    encoder = Encoder(TOKENIZER)
    for document in islice(documents(3, kinds), 20):
        row = encode(document, encoder)
        learnt = [i for i in row["labels"] if i != IGNORED]
        assert TOKENIZER.decode(learnt, skip_special_tokens=True) == "".join(document.answer)
        assert row["input_ids"][-len(learnt) :] == learnt


@pytest.mark.slow
def test_it_solves_problems_that_it_was_not_pretrained_on() -> None:
    from gramr2.backends.transformers import TransformersBackend

    asked, wanted = [], []
    for item in draw(Part.GOLD)[:48]:
        problem = problem_of(item.comparison)
        assert problem is not None
        family = family_of(problem.family)
        asked.append(
            GenerationRequest(
                (Message("user", family.ask(problem)),), (0,), Decoding(temperature=0.0, max_new_tokens=60)
            )
        )
        wanted.append(worked(family, problem))
    answers = dict(TransformersBackend(SHIPPED).generate(asked))
    assert sum(answers[i][0].text == text for i, text in enumerate(wanted)) >= 44
