"""Which backend a name, a flag or a run file opens."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gramr2 import load_judge
from gramr2.backends.local import open_local, release
from gramr2.backends.transformers import TransformersBackend
from gramr2.config import parse_config
from gramr2.errors import ConfigError, MissingDependencyError


@pytest.fixture
def no_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_transformers_is_the_default(tiny_model: Path) -> None:
    backend = load_judge(tiny_model).model.backend  # type: ignore[attr-defined]
    assert isinstance(backend, TransformersBackend)
    release(backend)
    assert (
        parse_config({"model": "m", "data": {"seed": "x", "gold": "y"}, "rounds": 0}, "test").model.backend
        == "transformers"
    )


@pytest.mark.usefixtures("no_vllm")
def test_vllm_is_opened_where_it_is_asked_for(tiny_model: Path, cli, tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="the backend vllm"):
        load_judge(tiny_model, backend="vllm")
    for command in ("judge", "rank", "score"):
        words = ("-m", tiny_model, "-d", "starter:gold", "-o", tmp_path / "o.jsonl", "--backend", "vllm")
        code, _, told = cli(command, *words)
        assert code == 2
        assert "vllm" in told and "pip install" in told


def test_what_cannot_be_meant_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="take one of transformers, vllm"):
        load_judge(tiny_model, backend="tgi")
    with pytest.raises(ConfigError, match="backend does not apply to scripted:longer"):
        load_judge("scripted:longer", backend="vllm")
    with pytest.raises(ConfigError, match="backend does not apply to the baseline longer"):
        load_judge("longer", backend="vllm")
    with pytest.raises(ConfigError, match="gramr2 export"):
        open_local("vllm", tiny_model, adapter=tmp_path)
    with pytest.raises(ConfigError, match="take transformers or vllm"):
        open_local("tgi", tiny_model)
