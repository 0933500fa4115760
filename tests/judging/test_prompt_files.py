"""Prompts from files: gramr2's own form, and the shapes in which the field publishes its prompts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from gramr2.errors import ConfigError
from gramr2.judging.parser import VerdictFormat
from gramr2.judging.prompts import FieldPrompt, prompt
from gramr2.judging.prompts.constants import constants_of

USER = "[Q]\n{question}\n[A]\n{answer_a}\n[B]\n{answer_b}"


def pair(**values: Any) -> dict[str, Any]:
    """An entry as FastChat publishes it."""
    entry = {
        "name": "pair-x", "type": "pairwise", "system_prompt": 'Say "[[A]]", "[[B]]", or "[[C]]" for a tie.', "prompt_template": USER,
        "description": "general", "category": "general", "output_format": "[[A]]",
    }  # fmt: skip
    return entry | values


def arena(**values: Any) -> dict[str, Any]:
    """A config as arena-hard-auto publishes it."""
    user = "<|Q|>\n{question_1}\n\n<|A|>\n{answer_1}\n\n<|B|>\n{answer_2}"
    config = {
        "name": "config", "bench_name": "b", "judge_model": "m", "reference": False, "ref_model": None, "baseline": True,
        "pairwise": True, "temperature": 0, "max_tokens": 4096, "regex_pattern": r"\[\[([AB<>=]+)\]\]",
        "system_prompt": "End with [[A>>B]], [[A>B]], [[A=B]], [[B>A]] or [[B>>A]].", "prompt_template": [user], "model_list": ["m"],
    }  # fmt: skip
    return config | values


def lines(path: Path, *entries: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(each) + "\n" for each in entries))
    return str(path)


def written(path: Path, values: Any) -> str:
    path.write_text(yaml.safe_dump(values))
    return str(path)


def shown(found: FieldPrompt) -> list[str | None]:
    return [place for _, place in found.pieces() if place]


def test_an_entry_of_fastchats_file(tmp_path: Path) -> None:
    math = pair(name="math", prompt_template=USER + "{ref_answer_1}")
    turns = pair(
        name="turns", prompt_template="{question_1}{answer_a_1}{answer_b_1}{question_2}{answer_a_2}{answer_b_2}"
    )
    file = lines(tmp_path / "judge_prompts.jsonl", pair(), math, turns, pair(name="single", type="single"))
    found = prompt(f"{file}#pair-x")
    assert (found.user, found.system, found.formats, found.ties) == (
        USER,
        pair()["system_prompt"],
        (VerdictFormat.BRACKETS,),
        True,
    )
    with pytest.raises(
        ConfigError, match="^/.*judge_prompts.jsonl has the prompts pair-x, math, turns, single: name one, .*#ENTRY"
    ):
        prompt(file)
    with pytest.raises(ConfigError, match="has the prompts"):
        prompt(f"{file}#pair-y")
    with pytest.raises(ConfigError, match="place {ref_answer_1}, which nothing fills"):
        prompt(f"{file}#math")
    with pytest.raises(ConfigError, match="place {answer_a_1}"):
        prompt(f"{file}#turns")
    with pytest.raises(ConfigError, match="grades one answer"):
        prompt(f"{file}#single")
    assert prompt(lines(tmp_path / "one.jsonl", pair())) == found


def test_the_configs_of_arena_hard(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gramr2"):
        found = prompt(written(tmp_path / "judge_config.yaml", arena()))
    assert (found.formats, found.ties, shown(found)) == (
        (VerdictFormat.GRADES,),
        True,
        ["question", "answer_a", "answer_b"],
    )
    assert (
        "baseline, bench_name, judge_model, max_tokens, model_list, ref_model, temperature are not used" in caplog.text
    )
    newer = arena(system_prompt=None, prompt_template="{QUESTION}|{ANSWER_A}|{ANSWER_B}")
    v2 = written(tmp_path / "arena-hard-v2.0.yaml", {k: v for k, v in newer.items() if k != "system_prompt"})
    with pytest.raises(ConfigError, match="does not say how the verdict is written"):
        prompt(v2)
    own = {"system": "End with [[A>B]] or the like.", "user_file": "arena-hard-v2.0.yaml"}
    assert prompt(written(tmp_path / "own.yaml", own)).formats == (VerdictFormat.GRADES,)
    for values, why in (({"reference": True}, "reference answer"), ({"pairwise": False}, "grades one answer"), ({"prompt_template": ["a", "b"]}, "no single text")):  # fmt: skip
        with pytest.raises(ConfigError, match=why):
            prompt(written(tmp_path / "x.yaml", arena(**values)))


PYTHON = '''
"""Prompts."""
import os
raise_if_run = os.no_such_thing
head = (
    "Be fair. "
    'Say "[[A]]" or "[[B]]".'
)
PAIR = {"name": "p", "type": "pairwise", "system_prompt": head, "prompt_template": "{question}\\n" + "{answer_a}{answer_b}"}
RELATIVE = """Use the rubric.
{instruction}|{response_A}|{response_B}|{rubric}
(feedback) [RESULT] (A or B)"""
RUBRIC = """
is it right {or not}?
""".strip()
LIST = ["x"]
'''


def test_constants_of_a_python_file_are_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "generative.py").write_text(PYTHON)
    found = prompt(f"{tmp_path}/generative.py#PAIR")
    assert (found.system, found.ties, found.formats) == (
        'Be fair. Say "[[A]]" or "[[B]]".',
        False,
        (VerdictFormat.BRACKETS,),
    )
    with pytest.raises(ConfigError, match="place {rubric}, which nothing fills"):
        prompt(f"{tmp_path}/generative.py#RELATIVE")
    with pytest.raises(ConfigError, match="has the prompts head, PAIR, RELATIVE, RUBRIC"):
        prompt(f"{tmp_path}/generative.py#LIST")
    own = {
        "user_file": "generative.py#RELATIVE",
        "system_file": "generative.py#head",
        "fill": {"rubric": "right {or} not?"},
    }
    filled = prompt(written(tmp_path / "own.yaml", own))
    assert (filled.formats, filled.ties) == ((VerdictFormat.BRACKETS, VerdictFormat.RESULT), False)
    assert "".join(text for text, _ in filled.pieces()).count("right {or} not?") == 1
    assert constants_of(PYTHON)["RUBRIC"] == "is it right {or not}?"


def test_a_text_file_is_the_users_turn(tmp_path: Path) -> None:
    file = tmp_path / "relative.txt"
    file.write_text("{instruction}\n{response_A}\n{response_B}\nEnd with [RESULT] A or [RESULT] B.")
    found = prompt(str(file))
    assert (found.system, found.formats, found.ties) == ("", (VerdictFormat.RESULT,), False)


@pytest.mark.parametrize(
    ("values", "formats", "ties"),
    [
        ({"verdict": "brackets"}, ("brackets",), False),
        ({"verdict": "brackets", "ties": True}, ("brackets",), True),
        ({"verdict": ["json", "tag"]}, ("json", "tag"), False),
        ({"verdict": "json"}, ("json",), True),
        ({"system": "[[A]] or [[C]]"}, ("brackets",), True),
        ({"system": "[[A]] or [[C]]", "ties": False}, ("brackets",), False),
        ({"system": "\\boxed{A}, \\boxed{B}, \\boxed{tie}"}, ("boxed",), True),
    ],
)
def test_the_own_form_says_the_verdict_or_asks_for_it(
    tmp_path: Path, values: Any, formats: tuple[str, ...], ties: bool
) -> None:
    found = prompt(written(tmp_path / "p.yaml", {"user": USER} | values))
    assert (found.formats, found.ties) == (formats, ties)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"user": USER}, "does not say how the verdict is written"),
        ({"user": USER, "verdict": "stars"}, "has the verdict 'stars': take one of"),
        ({"user": USER, "verdict": "json", "tie": True}, "has tie, which is not known: give name, source"),
        ({"user": USER, "verdict": "json", "ties": "no"}, "ties is 'no', and must be true or false"),
        ({"user": USER, "user_file": "x.txt", "verdict": "json"}, "has user and user_file"),
        ({"user": 7, "verdict": "json"}, "user is not a text"),
        ({"user": USER, "verdict": "json", "fill": {"rubric": "x"}}, "fills {rubric}, which is not in its user text"),
        ({"user": USER, "verdict": "json", "fill": "x"}, "fill must give a text for each place"),
        ({"verdict": "json"}, "has no place {question}"),
        ({"user_file": "gone.txt", "verdict": "json"}, "gone.txt cannot be read"),
        ([], "has the prompts (none)"),
        ("x", "is not an object"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, values: Any, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        prompt(written(tmp_path / "p.yaml", values))
    assert why in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"), [("p.yaml", "a: [b"), ("p.json", "{"), ("p.jsonl", "{}\n"), ("p.jsonl", "7\n"), ("p.py", "x = ("), ("p.txt", "\udcff")]
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="cannot be read") as error:
        prompt(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="gone.yaml#x cannot be read \\(No such file"):
        prompt("gone.yaml#x")
