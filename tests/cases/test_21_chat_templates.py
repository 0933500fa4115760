"""A chat template is foreign code: it fails in one sentence, ends in time, and no content is lost on the way through it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from broken_models import copied, with_template, with_tokens
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from gramr2 import load_judge
from gramr2.backends import chat_template
from gramr2.backends.encoding import Encoder
from gramr2.comparison import Message
from gramr2.config.training import ModelConfig
from gramr2.errors import ModelError
from gramr2.training.parts import load_for_training

TURNS = (Message("system", "Rules."), Message("user", "Question?"))
WHOLE = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}\n{% endfor %}"
PARTS = (
    "{% for m in messages %}[{{ m['role'] }}]{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}"
    "{% endfor %}{{ '\n' }}{% endfor %}"
)
FIRST_PART = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'][0]['text'] }}\n{% endfor %}"


def encoder(model: Path, template: Any, **options: Any) -> Encoder:
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = template
    return Encoder(tokenizer, options)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('A system message is needed') }}", r"fails \(A system message is needed\)"),
        ("{% for m in messages %}{{ m['content'] }", "fails"),
        ("{{ ''.__class__.__mro__ }}", "fails .*unsafe"),
        ("{{ x.y.z }}", "fails .*undefined"),
        ("{{ 1/0 }}", "fails .*division"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "fails .*recursion"),
        ("{{ messages[0]['role'] }}", "drops, repeats or reorders"),
        ("{{ messages[1]['content'] }}{{ messages[0]['content'] }}", "drops, repeats or reorders"),
        (WHOLE + "{{ messages[0]['content'] }}", "drops, repeats or reorders"),
        ("{{ messages }}", "drops, repeats or reorders|fails|holds"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_sentence(tiny_model: Path, template: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        encoder(tiny_model, template).prompt(TURNS)
    assert "\n" not in str(caught.value)


def test_it_is_a_sentence_from_a_folder_too(tiny_model: Path, tmp_path: Path) -> None:
    folder = with_template(copied(tiny_model, tmp_path / "m"), "{{ raise_exception('no') }}")
    with pytest.raises(ModelError, match=r"chat template fails \(no\)"):
        load_judge(folder).compare("q", "a", "b")


def test_several_templates_without_a_default(tiny_model: Path) -> None:
    several = {"rag": WHOLE, "tool_use": "{{ 1/0 }}"}
    with pytest.raises(ModelError, match=r"several chat templates \(rag, tool_use\)"):
        encoder(tiny_model, several).prompt(TURNS)
    ids = encoder(tiny_model, WHOLE).prompt(TURNS)
    assert encoder(tiny_model, several, chat_template="rag").prompt(TURNS) == ids
    assert encoder(tiny_model, several | {"default": WHOLE}).prompt(TURNS) == ids


@pytest.mark.parametrize("template", [PARTS, FIRST_PART])
def test_a_template_that_reads_parts_gets_parts(tiny_model: Path, template: str) -> None:
    assert encoder(tiny_model, template).prompt(TURNS) == encoder(tiny_model, WHOLE).prompt(TURNS)


@pytest.mark.parametrize("endless", ["{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"])
def test_a_template_without_an_end_is_stopped(tiny_model: Path, endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "SECONDS", 0.3)
    with pytest.raises(ModelError, match=r"does not end within 0\.3 seconds"):
        encoder(tiny_model, endless).prompt(TURNS)
    deadline = time.monotonic() + 30
    while _rendering() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _rendering(), "it goes on in the background"


def _rendering() -> list[str]:
    """The threads that run a template."""
    return [each.name for each in threading.enumerate() if "(work)" in each.name]


@given(st.lists(st.sampled_from(["system", "user", "assistant"]), min_size=1, max_size=12), st.text(max_size=20))
def test_every_content_stands_where_its_turn_is(tiny_model: Path, roles: list[str], text: str) -> None:
    turns = tuple(Message(role, f"{text}{i}") for i, role in enumerate(roles))  # type: ignore[arg-type]
    used = encoder(tiny_model, WHOLE)
    expected = "".join(f"[{turn.role}]{turn.content}\n" for turn in turns)
    assert used.tokenizer.decode(used.prompt(turns)) == expected


def test_tokens_without_an_embedding_are_named_at_load(tiny_model: Path, tmp_path: Path) -> None:
    folder = with_tokens(copied(tiny_model, tmp_path / "m"), "Lisbon", "Quokka")
    for load in (load_judge, lambda path: load_for_training(path, ModelConfig(name="x"))):
        with pytest.raises(ModelError, match="without an embedding .*'Lisbon', 'Quokka'"):
            load(folder)
