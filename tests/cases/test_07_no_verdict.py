"""An answer without a why: nothing decided, a model that cannot be one, a package that is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gramr2.errors import MissingDependencyError, packages_of
from gramr2.judging import scripted


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(scripted.SCRIPTS, "mute", lambda request, seed: "no idea")
    path = tmp_path / "d.jsonl"
    rows = [{"id": str(i), "prompt": "q", "responses": ["a", "bb"], "label": "B"} for i in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_command_that_decides_nothing_fails_and_says_why(cli, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    for words in (("judge", "-d", str(data), "-o", str(out)), ("eval", "-b", str(data))):
        for form in ((), ("--json",)):
            code, text, error = cli(words[0], "-m", "scripted:mute", *words[1:], *form)
            assert code == 1
            assert "none of 3 comparisons was decided: 6 votes unparseable" in error
            assert "use a trained judge" in error
            assert text, "what was found is shown all the same"
    assert len(out.read_text().splitlines()) == 3
    assert cli("judge", "-m", "scripted:longer", "-d", str(data), "-o", str(out))[0] == 0


@pytest.mark.parametrize(("model", "said"), [("smollm2-153m", "there is no model"), ("missing.gguf", "does not exist")])
def test_check_refuses_a_model_that_is_nowhere(cli, data: Path, tmp_path: Path, model: str, said: str) -> None:
    run = tmp_path / "run.yaml"

    def check(name: str) -> tuple[int, str, str]:
        files = {"seed": str(data), "gold": {"path": "starter:gold", "limit": 4}}
        run.write_text(yaml.safe_dump({"model": name, "data": files, "rounds": 0}))
        return cli("check", str(run))

    code, _, error = check(model)
    assert (code, said in error) == (2, True)
    assert check("tiny-random")[0] == 0
    code, text, _ = check("someone/some-model")
    assert (code, "taken for a hub id" in text) == (0, True)


def test_a_missing_package_is_named_as_pip_takes_it() -> None:
    assert packages_of("openai").startswith("'openai>=")
    assert packages_of("nothing") == ""
    message = str(MissingDependencyError("fastapi", "serve", "gramr2 serve"))
    assert "pip install 'fastapi>=" in message and "'uvicorn>=" in message
    assert "gramr2[" not in message
