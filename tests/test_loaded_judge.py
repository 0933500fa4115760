"""From a name to a judge: what is saved with it is what it is asked with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import make
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.loading import JudgeOptions, generative_judge

THOUGHTLESS = {"enable_thinking": False}


@pytest.fixture
def judge(tiny_model: Path, tmp_path: Path) -> Path:
    """A judge whose chat template has a variable, like Qwen3's."""
    folder = tmp_path / "judge"
    shutil.copytree(tiny_model, folder)
    template = (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if not enable_thinking %}No thoughts.{% endif %}"
    )
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
    save_template(JudgeTemplate(JudgeMode.LABEL), folder, {"enable_thinking": True})
    return folder


def prompted(model: str, **options: Any) -> str:
    opened = generative_judge(model, JudgeOptions(**options))
    ids = opened.backend.encoder.prompt(opened.template.render(make("0")))  # type: ignore[attr-defined]
    return str(opened.backend.encoder.tokenizer.decode(ids))  # type: ignore[attr-defined]


def test_a_judge_is_asked_with_the_variables_it_was_trained_with(judge: Path, tmp_path: Path) -> None:
    assert not prompted(str(judge)).endswith("No thoughts.")
    assert not prompted(str(judge), prompt="mt-bench").endswith("No thoughts."), "whatever it is asked"
    save_template(JudgeTemplate(JudgeMode.LABEL), judge, THOUGHTLESS)
    assert prompted(str(judge)).endswith("No thoughts.")
    other = tmp_path / "other"
    other.mkdir()
    save_template(JudgeTemplate(), other, {"enable_thinking": True})
    assert not prompted(str(judge), prompt=str(other)).endswith("No thoughts."), "the prompt of another judge"


def test_workers_count_what_they_are_asked(judge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Any] = []

    def on_ray(opened: Any, count: Any, *_: Any) -> Any:
        counted.append((opened.keywords["chat_template_options"], count.__self__.encoder._options))
        return opened()

    monkeypatch.setattr("gramr2.backends.ray_workers.on_ray", on_ray)
    save_template(JudgeTemplate(JudgeMode.LABEL), judge, THOUGHTLESS)
    generative_judge(str(judge), JudgeOptions(engine="ray"))
    assert counted == [(THOUGHTLESS, THOUGHTLESS)]


def test_a_judge_that_a_server_has_is_asked_with_the_variables_of_its_folder(judge: Path) -> None:
    name = "openai:judge@http://127.0.0.1:8000/v1"
    assert "+chat-" in generative_judge(name, JudgeOptions(prompt=str(judge))).backend.id
    assert "+chat-" not in generative_judge(name, JudgeOptions()).backend.id
