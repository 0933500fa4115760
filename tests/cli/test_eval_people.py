"""``gramr2 eval`` on a file with several annotators: every comparison is judged once, and agreement is told everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.evaluation.agreement import alternative
from gramr2.evaluation.log import read_log
from gramr2.judging import scripted


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Forty comparisons in two categories, three annotators of each; the longer response is better but for every fifth."""
    rows = [
        {
            "id": f"q{i}",
            "prompt": f"Question {i}?",
            "responses": ["a longer one", "short"],
            "label": "B" if i % 5 == 0 or (who == "cem" and i % 3 == 0) else "A",
            "annotator": who,
            "category": "math" if i % 2 else "code",
        }
        for i in range(40)
        for who in ("ann", "bea", "cem")
    ]
    file = tmp_path / "people.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_every_comparison_is_judged_once(cli, tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = scripted.SCRIPTS["longer"]

    def answer(request: GenerationRequest, seed: int) -> Completion | str:
        asked.append(seed)
        return real(request, seed)

    monkeypatch.setitem(scripted.SCRIPTS, "longer", answer)
    words = ("eval", "-m", "scripted:longer", "-b", people, "-o", tmp_path / "e")
    code, text, err = cli(*words)
    assert code == 0, err
    assert len(asked) == 80
    assert "3 annotators gave 120 labels of 40 comparisons" in text
    assert (
        "most of them" in text and "the judge is not shown to be as good as a person: it stands in for 0 of 3" in text
    )
    log = read_log(tmp_path / "e")
    assert log.items[3].annotations == {"ann": "A", "bea": "A", "cem": "B"}
    assert (len(log.items), log.summary.result["accuracy"]) == (40, 0.8)
    found = log.summary.agreement
    assert found is not None and found.people is not None
    assert (found.people.unanimous, found.people.majority.value) == (29, 0.8)
    assert json.loads(cli(*words, "--json")[1])["agreement"]["people"]["several"] == 40
    assert len(asked) == 80


def test_another_bar_or_epsilon_asks_nothing_again(cli, tmp_path: Path, people: Path) -> None:
    words = ("eval", "-m", "scripted:longer", "-b", people, "-o", tmp_path / "e")
    assert cli(*words)[0] == 0
    code, text, err = cli(*words, "--bar", "0.75")
    assert (code, "nothing is judged again" in err, "excludes 75.0 % (--bar)" in text) == (0, True, True)
    found = read_log(tmp_path / "e").summary.agreement
    assert found is not None and found.bar == 0.75 and not found.needed[-1].settled
    assert found.people is not None and found.people.replacing is not None
    assert found.people.replacing.epsilon == alternative.EPSILON
    code, text, err = cli(*words, "--epsilon", "0.6")
    assert (code, "nothing is judged again" in err, "(ε = 0.6)" in text) == (0, True, True)
    found = read_log(tmp_path / "e").summary.agreement
    assert found is not None and found.people is not None and found.people.replacing is not None
    assert (found.people.replacing.epsilon, found.people.replacing.passes) == (0.6, True)
    code, _, err = cli(*words, "--epsilon", "1")
    assert (code, "from 0 to 1" in err) == (2, True)
    code, _, err = cli("eval", "-m", "scripted:longer", "-b", "hhh", "--from", people, "--epsilon", "0.2")
    assert (code, "--epsilon is for a file of comparisons" in err) == (2, True)
    code, _, err = cli(*words, "--bar", "1")
    assert (code, "between 0 and 1" in err) == (2, True)


def test_an_evaluation_without_agreement_gets_it(cli, tmp_path: Path) -> None:
    words = ("eval", "-m", "scripted:longer", "-b", "starter:gold", "--limit", "20", "-o", tmp_path / "e")
    assert cli(*words)[0] == 0
    file = tmp_path / "e" / "eval.json"
    values = json.loads(file.read_text())
    assert values.pop("agreement")["people"] is None
    file.write_text(json.dumps(values))
    assert "no row names its annotator" in cli(*words)[1]
    assert read_log(tmp_path / "e").summary.agreement is not None


def test_other_labels_are_another_evaluation(cli, tmp_path: Path, people: Path) -> None:
    words = ("eval", "-m", "scripted:longer", "-b", people, "-o", tmp_path / "e")
    assert cli(*words)[0] == 0
    # cem changes one label, and the majority stays what it is.
    lines = people.read_text().splitlines()
    people.write_text("\n".join([*lines[:5], lines[5].replace('"A"', '"B"'), *lines[6:]]) + "\n")
    code, _, err = cli(*words)
    assert (code, "with other items or options" in err) == (2, True)


def test_a_limit_is_of_comparisons(cli, tmp_path: Path, people: Path) -> None:
    code, _, err = cli("eval", "-m", "scripted:longer", "-b", people, "--limit", "10", "-o", tmp_path / "e")
    assert code == 0, err
    items = read_log(tmp_path / "e").items
    assert (len(items), {len(item.annotations) for item in items}) == (10, {3})
