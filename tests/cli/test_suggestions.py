"""A name that there is not: the sentence says which was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gramr2.config import parse_config
from gramr2.errors import ConfigError
from gramr2.text import closest, hint

DATA = {"seed": "starter:labeled", "gold": "starter:gold", "pool": "starter:unlabeled"}


def test_a_hint_names_what_is_like_it_and_is_silent_otherwise() -> None:
    assert closest("RewardBanch", ["rewardbench", "hhh"]) == "rewardbench"
    assert hint("rewardbanch", ["rewardbench"]) == " (did you mean rewardbench?)"
    assert hint("crystal ball", ["rewardbench"]) == hint("x", []) == ""


@pytest.mark.parametrize(
    ("changes", "meant"),
    [
        ({"filters": [{"kind": "confidense"}]}, "filters.0: there is no kind 'confidense' (did you mean confidence?)"),
        ({"filters": [{"kind": "pmi", "min_pmy": 0.1}]}, "min_pmy: unknown key, did you mean min_pmi?"),
        (
            {"filters": [{"kind": "confidence", "threshold": {"schedule": "quantle", "start": 0.5, "end": 0.2}}]},
            "(did you mean quantile?)",
        ),
        ({"second_view": "frozen-feature"}, "got 'frozen-feature' (did you mean frozen-features?)"),
        ({"baselines": ["bag-of-word"]}, "there is no baseline 'bag-of-word' (did you mean bag-of-words?)"),
        ({"init": "previus"}, "(did you mean previous?)"),
        ({"modle": "x"}, "modle: unknown key, did you mean model?"),
        ({"data": DATA | {"seed": {"path": "x", "columns": {"promt": "q"}}}}, "(did you mean prompt?)"),
    ],
)
def test_keys_and_kinds_of_a_run_file(changes: dict[str, object], meant: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse_config({"model": "tiny-random", "data": DATA} | changes)
    assert meant in str(found.value)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("trian",), "Did you mean 'train'"),
        (("lab", "audti"), "Did you mean 'audit'"),
        (("train", "--ot", "x"), "--out"),
        (("judge", "-m", "longer", "-d", "starter:gold", "-o", "x", "--orders", "bth"), "(did you mean both?)"),
        (("eval", "-m", "smollm-135m", "-b", "starter:gold"), "(did you mean smollm2-135m?)"),
        (("eval", "-m", "scripted:lnger", "-b", "starter:gold"), "(did you mean longer?)"),
        (("eval", "-m", "longr", "-b", "starter:gold"), "there is no model 'longr' (did you mean longer?)"),
        (("eval", "-m", "bag-of-word:runs/x", "-b", "starter:gold"), "(did you mean bag-of-words:runs/x?)"),
        (("eval", "-m", "scriptd:longer", "-b", "starter:gold"), "(did you mean scripted:longer?)"),
        (("eval", "-m", "longer", "-b", "rewardbanch"), "(did you mean rewardbench?)"),
        (("eval", "-m", "longer", "-b", "starter:golt"), "(did you mean gold?)"),
        (("models", "pull", "smollm2-135"), "(did you mean smollm2-135m?)"),
        (("rank", "-m", "longer", "-d", "starter:gold", "-o", "x", "--scheme", "swis"), "(did you mean swiss?)"),
        (("stress", "-m", "longer", "-d", "starter:gold", "--only", "homoglyph"), "(did you mean homoglyphs?)"),
        (("ablate", "-o", "x", "--only", "ful"), "(did you mean full?)"),
    ],
)
def test_words_of_the_command_line(cli, words: tuple[str, ...], meant: str) -> None:
    code, _, err = cli(*words)
    assert code == 2
    assert meant in err
    assert "Traceback" not in err


def test_a_file_is_looked_for_beside_the_one_that_is_not_there(cli, tmp_path: Path, write) -> None:
    write({"prompt": "p", "responses": ["a", "b"]}, name="pairs.jsonl")
    code, _, err = cli("judge", "-m", "longer", "-d", str(tmp_path / "pair.jsonl"), "-o", str(tmp_path / "x.jsonl"))
    assert (code, "no such file (did you mean pairs.jsonl?)" in err) == (2, True)
    run = tmp_path / "run.yaml"
    run.write_text("model: tiny-random\ndata: {seed: pirs.jsonl, gold: 'starter:gold'}\nrounds: 0\n")
    assert "(did you mean pairs.jsonl?)" in cli("check", run)[2]
