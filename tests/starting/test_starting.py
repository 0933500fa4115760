"""What ``gramr2 init`` decides: from columns, from the machine, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conftest import labeled
from gramr2.comparison import Label
from gramr2.config import parse_config
from gramr2.config.data import Layout, SourceConfig
from gramr2.errors import DataError
from gramr2.starting.guess import guessed
from gramr2.starting.machine import Machine, budget, suggestions
from gramr2.starting.parts import Most, Parts, divide
from gramr2.starting.seen import Source, names_of
from gramr2.starting.writing import Choices, run_file, sees


@pytest.mark.parametrize(
    ("names", "flags"),
    [
        (
            ("task", "first answer", "second answer", "winner"),
            "prompt=task 'responses=first answer,second answer' label=winner",
        ),
        (("instruction", "good", "bad", "n"), "prompt=instruction chosen=good rejected=bad"),
        (("query", "out_B", "out_A", "verdict"), "prompt=query responses=out_B,out_A label=verdict"),
        (("words", "more"), ""),
    ],
)
def test_columns_are_guessed_from_their_names_and_values(names: tuple[str, ...], flags: str) -> None:
    short = {"winner", "verdict", "n"}
    rows = [{name: str(i % 2) if name in short else f"{name} {i} some text" for name in names} for i in range(8)]
    assert guessed(rows) == " ".join(f"--columns {each}" for each in _split(flags))


def _split(flags: str) -> list[str]:
    import shlex

    return [shlex.quote(each) for each in shlex.split(flags)]


def test_larger_models_are_named_by_what_fits() -> None:
    assert [each.partition(" ")[0].rpartition("/")[2] for each in suggestions(Machine(10**10))] == [
        "SmolLM2-1.7B-Instruct",
        "Qwen3-4B-Instruct-2507",
        "Llama-3.1-8B-Instruct",
    ]
    assert len(suggestions(Machine(10**10, gpu=24 * 10**9))) == 1
    assert suggestions(Machine(10**10, gpu=8 * 10**9)) == []


def test_tokens_are_counted_where_the_model_is_here_and_estimated_where_it_is_not() -> None:
    item = labeled("a", Label.A).comparison
    here, away = budget("lab-tiny"), budget("smollm2-135m")
    assert here.most is not None
    assert away.most is None
    assert here.count(item) > 0
    assert away.count(item) > 0


def test_files_of_one_name_are_told_apart() -> None:
    assert names_of(["a/x.jsonl", "b/x.jsonl", "b/y.jsonl", "starter:gold"]) == [
        "a/x.jsonl",
        "b/x.jsonl",
        "y.jsonl",
        "starter:gold",
    ]
    assert names_of(["x.jsonl"]) == ["x.jsonl"]


def parts_of(count: int, sources: int = 1) -> Parts:
    items = tuple(labeled(f"i{i}", Label.A) for i in range(count))
    seed = tuple(SourceConfig(path=f"starter:labeled{i}") for i in range(sources))
    return Parts(seed, (), (SourceConfig(path="starter:gold"),), items, (), items[:3], None, False, ())


def written(parts: Parts, machine: Machine, **changes: object) -> dict[str, object]:
    values = {"model": "m", "why": "it fits", "told": (), "aggregate": False, "overlong": 0, "rationales": 0} | changes
    text = run_file(parts, Choices(**values), machine, Path("run.yaml"))  # type: ignore[arg-type]
    found: dict[str, object] = yaml.safe_load(text)
    parse_config(found)
    return found


def test_steps_follow_the_number_of_labels_and_of_sources() -> None:
    roomy = Machine(10**11)
    steps = [
        written(parts_of(n, sources), roomy)["training"]["min_steps"] for n, sources in ((64, 1), (200, 1), (64, 5))
    ]  # type: ignore[index]
    assert steps == [64, 128, 192]
    assert written(parts_of(64), Machine(2 * 10**9))["training"]["method"] == "lora"  # type: ignore[index]
    assert written(parts_of(64), Machine(2 * 10**9, gpu=10**11))["training"]["method"] == "full"  # type: ignore[index]


def test_what_the_data_need_is_written() -> None:
    found = written(parts_of(9), Machine(10**11), aggregate=True, overlong=3)
    assert found["data"]["aggregate"] == "majority"  # type: ignore[index]
    assert found["data"]["on_overlong"] == "drop"  # type: ignore[index]
    assert found["rounds"] == 0
    assert "filters" not in found


def test_a_name_with_a_line_feed_cannot_leave_its_comment() -> None:
    found = written(parts_of(9), Machine(10**11), told=("a\nrounds: 7\u2028seed: 9 columns",))
    assert (found["rounds"], found["seed"]) == (0, 1)


def test_what_gold_can_show_names_its_prompts() -> None:
    pairs = [labeled(f"i{i // 2}", Label.A) for i in range(100)]
    assert sees(pairs[::2]).startswith("50 comparisons see a difference of 22 points; 5 points take 941")
    told = "100 comparisons of 50 prompts see a difference of 15 points, and less where several are of one"
    assert sees(pairs).startswith(told)


def test_gold_without_labels_is_refused() -> None:
    items = tuple(labeled(f"i{i}", Label.A) for i in range(4))
    one = Source("a", "a", Layout(), (), (), items, (), 4, ())
    none = Source("b", "b", Layout(), (), (), (), tuple(item.comparison for item in items), 4, ())
    with pytest.raises(DataError, match="b: has no labels, and only labelled comparisons can measure"):
        divide([one], [none], Most(10, 10))
