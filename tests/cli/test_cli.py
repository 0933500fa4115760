"""The command line as a user meets it: names, files, sentences, exit codes."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from gramr2.cli.console import say
from gramr2.cli.main import app
from gramr2.cli.train import baseline_table, table
from gramr2.evaluation.metrics import PairedTest
from gramr2.selftraining.run.records import RoundRecord

ROOT = Path(__file__).parents[2]


def test_the_public_names() -> None:
    import typer

    command = typer.main.get_command(app)
    names = set(command.commands)  # type: ignore[attr-defined]
    assert names == {
        "init",
        "doctor",
        "check",
        "contamination",
        "train",
        "judge",
        "eval",
        "compare",
        "view",
        "models",
        "report",
        "inspect",
        "review",
        "verify",
        "ablate",
        "adapt",
        "export",
        "lab",
        "mcp",
        "rank",
        "score",
        "serve",
        "stress",
        "ui",
    }
    flags = {p.opts[0] for p in command.commands["stress"].params}  # type: ignore[attr-defined]
    assert flags >= {"--model", "--data", "--limit", "--only", "--seed", "--out", "--max-rate", "--json"}
    flags = {p.opts[0] for p in command.commands["judge"].params}  # type: ignore[attr-defined]
    assert flags >= {"--model", "--data", "--out", "--votes", "--orders", "--limit", "--seed", "--quiet", "--json"}
    flags = {p.opts[0] for p in command.commands["eval"].params}  # type: ignore[attr-defined]
    assert flags >= {"--model", "--benchmark", "--out", "--limit", "--json", "--probe", "--without"}
    flags = {p.opts[0] for p in command.commands["contamination"].params}  # type: ignore[attr-defined]
    assert flags >= {"--against", "--threshold", "--similarity", "--common", "--field", "--out", "--max-rate", "--json"}
    flags = {p.opts[0] for p in command.commands["rank"].params}  # type: ignore[attr-defined]
    assert flags >= {"--model", "--data", "--out", "--scheme", "--budget"}
    flags = {p.opts[0] for p in command.commands["ablate"].params}  # type: ignore[attr-defined]
    assert flags >= {"--out", "--seeds", "--domain", "--test", "--limit", "--only", "--jobs"}
    flags = {p.opts[0] for p in command.commands["adapt"].params}  # type: ignore[attr-defined]
    assert flags >= {"--model", "--data", "--out", "--test", "--general", "--rationales", "--few-shot", "--curve"}
    flags = {p.opts[0] for p in command.commands["export"].params}  # type: ignore[attr-defined]
    assert flags >= {"--model", "--out", "--dtype", "--check", "--push-to-hub"}
    assert set(command.commands["lab"].commands) == {"train", "config", "data", "audit", "pretrain", "rlhf"}  # type: ignore[attr-defined]


def test_judge_writes_a_line_per_comparison(cli, tmp_path: Path) -> None:
    out = tmp_path / "d.jsonl"
    code, text, _ = cli(
        "judge", "--model", "scripted:longer", "--data", "starter:gold", "--out", str(out), "--limit", "5"
    )
    assert code == 0
    assert "5 of 5 decided" in text
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 5
    keys = {"id", "label", "confidence", "agreement", "order_flip", "coverage", "rationale", "probabilities", "votes"}
    assert keys <= set(rows[0])
    assert {"order", "outcome", "rationale"} <= set(rows[0]["votes"][0])


def test_eval_as_json(cli) -> None:
    code, text, _ = cli("eval", "--model", "scripted:longer", "--benchmark", "starter:gold", "--json")
    assert code == 0
    result = json.loads(text)
    keys = ["benchmark", "version", "n", "accuracy", "low", "high", "order_flip_rate", "coverage"]
    assert list(result)[: len(keys)] == keys
    assert "by_category" in result
    assert result["accuracy"] == pytest.approx(result["longer_response_accuracy"])
    assert result["order_flip_rate"] == 0
    always = json.loads(cli("eval", "--model", "scripted:always-a", "--benchmark", "starter:gold", "--json")[1])
    assert always["first_position_rate"] == 1
    assert always["order_flip_rate"] == 1


def test_eval_table(cli) -> None:
    code, text, _ = cli("eval", "--model", "scripted:random", "--benchmark", "starter:gold", "--limit", "20")
    assert code == 0
    assert "order flips" in text


def test_check(cli) -> None:
    code, text, _ = cli("check", str(ROOT / "examples/quickstart.yaml"))
    assert code == 0
    assert "valid. 448 seed, 608 unlabelled, 244 gold comparisons; always choosing" in text
    code, text, _ = cli("check", str(ROOT / "examples/quickstart.yaml"), "--json")
    assert json.loads(text)["valid"] is True
    assert text.count("\n") == 1


def test_a_run_is_checked_without_torch() -> None:
    code = (
        "import sys; from gramr2.cli.main import app; "
        f"app(['check', {str(ROOT / 'examples/quickstart.yaml')!r}, '--json'], standalone_mode=False); "
        "assert not {'torch', 'transformers', 'trl'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_check_tells_what_a_run_will_cost(cli, tmp_path: Path) -> None:
    file = str(ROOT / "examples/tiny.yaml")
    code, text, err = cli("check", file, "--cost", "--kept", "0.25")
    assert code == 0
    assert "round 1 · train on 16 seed + 4 kept" in " ".join(text.split())
    assert re.search(r"Total: about \d+ (s|min) \(at most \d+ (s|min)\); 576 requests with \d+ k prompt tokens", text)
    assert "probe: training a few steps" in err
    code, text, _ = cli("check", file, "--cost", "--json")
    cost = json.loads(text)["cost"]
    assert {"stages", "total", "total_at_most", "memory_bytes", "disk_bytes_in_between", "probe"} == set(cost)
    assert min(cost["probe"][name] for name in ("prefill", "decode", "features", "training")) > 0
    assert cost["total"]["seconds"] == pytest.approx(sum(each["seconds"] for each in cost["stages"]))
    assert cost["total"]["trained_tokens"] < cost["total_at_most"]["trained_tokens"]


@pytest.mark.slow
def test_a_warm_up_and_a_label_only_judge_are_probed_too(cli, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "model: tiny-random\njudge: {mode: label}\nwarmup: {limit: 12}\nbaselines: []\ntraining: {method: lora, batch_size: 2}\n"
        "data: {seed: {path: 'starter:labeled', limit: 6}, pool: {path: 'starter:unlabeled', limit: 16},"
        " gold: {path: 'starter:gold', limit: 6}}\n"
    )
    code, text, _ = cli("check", file, "--cost", "--json")
    assert code == 0
    cost = json.loads(text)["cost"]
    assert cost["probe"]["warm_up"] > 0
    assert (cost["probe"]["decode"], cost["probe"]["features"], cost["total"]["generated_tokens"]) == (None, None, 0)
    assert cost["stages"][0]["stage"].startswith("warm up on")


def test_a_remote_model_has_tokens_and_no_time(cli, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "model: openai:judge@http://127.0.0.1:1/v1\ndata: {seed: 'starter:labeled', gold: 'starter:gold'}\nrounds: 0\n"
    )
    code, text, err = cli("check", file, "--cost")
    assert code == 0, err
    assert "Total: no time known" in text
    assert "gramr2 train cannot train it" in text
    assert cli("check", file)[0] == 2, "as a run file it is refused"
    code, _, err = cli("check", file, "--kept", "0.5")
    assert (code, "--kept is for --cost" in err) == (2, True)


@pytest.mark.parametrize("terminal", [False, True])
def test_only_a_terminal_gets_line_breaks(terminal: bool) -> None:
    to = Console(file=io.StringIO(), width=20, force_terminal=terminal)
    say("a sentence that is [much] longer than the window is wide", to=to)
    assert to.file.getvalue().count("\n") == (3 if terminal else 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("stage", ["round", "final"])
def test_the_table_of_a_run_fits_a_window_and_a_file(stage: str) -> None:
    gold = {"n": 1000, "accuracy": 1.0, "low": 0.999, "high": 1.0, "order_flip_rate": 1.0, "coverage": 1.0}
    pool = {"judged": 5000, "kept": 500, "dropped": {}}
    rows = [{"round": 0, "stage": "seed", "gold": gold, "pool": pool | {"judged": 0}}]
    rows += [{"round": 10, "stage": stage, "gold": gold, "pool": pool, "verdict": "rolled back"}]
    records = [RoundRecord.model_validate(row) for row in rows]
    test = PairedTest(999, 0, 0.0001, -0.999, -1.0, -0.998)
    for width in (80, 1000):
        to = Console(file=io.StringIO(), width=width)
        to.print(table(records))
        to.print(baseline_table({"frozen-features": {"gold": gold}}, {"frozen-features": test}))
        text = to.file.getvalue()  # type: ignore[attr-defined]
        assert re.search("frozen-features .* -99.9 .*-100.0 to -99.8 .* p < 0.001", text)
        assert "rolled back" in text
        assert "99.9–100.0" in text
        assert "…" not in text


def test_models_list(cli) -> None:
    code, text, _ = cli("models", "list", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(text)] == ["smollm2-135m", "lab-tiny", "tiny-random"]
    assert json.loads(text)[1]["path"], "it ships with the package"
    code, text, _ = cli("models", "list")
    assert code == 0
    assert max(map(len, text.splitlines())) < 120


def test_help_has_a_short_flag(cli) -> None:
    code, text, _ = cli("eval", "-h")
    assert code == 0
    assert "--benchmark" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("check", "missing.yaml"), "no such file"),
        (("judge", "-m", "scripted:best", "-d", "starter:gold", "-o", "x"), "no scripted judge 'best'"),
        (("judge", "-m", "nothing", "-d", "starter:gold", "-o", "x"), "there is no model 'nothing'"),
        (("judge", "-m", "scripted:longer", "-d", "nope.jsonl", "-o", "x"), "no such file"),
        (("eval", "-m", "scripted:longer", "-b", "starter:unlabeled"), "has no label"),
        (("eval", "-m", "openai:x@y", "-b", "starter:gold"), "does not name a model and a server"),
        (("models", "pull", "gpt"), "no named model 'gpt'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(cli, words: tuple[str, ...], sentence: str) -> None:
    code, _, err = cli(*words)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_a_choice_that_there_is_not_is_refused_with_those_there_are(cli) -> None:
    code, _, err = cli("judge", "-m", "scripted:longer", "-d", "starter:gold", "-o", "x", "--orders", "three")
    assert code == 2
    assert all(word in err for word in ("--orders", "'three'", "'both'", "'first'"))


def test_the_command_line_starts_without_the_libraries_that_are_slow_to_import() -> None:
    code = (
        "import sys, gramr2.cli.main; "
        "print(sorted({'torch', 'transformers', 'scipy', 'sklearn', 'httpx', 'jinja2', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_installed_script_answers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gramr2.cli.main", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("gramr2 0.")


@pytest.mark.slow
def test_train_and_use_the_judge(cli, tmp_path: Path) -> None:
    text = (ROOT / "examples/tiny.yaml").read_text().replace("rounds: 3", "rounds: 0").replace("limit: 16", "limit: 6")
    (tmp_path / "tiny.yaml").write_text(text)
    code, out, _ = cli("train", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run"), "--json")
    assert code == 0
    assert json.loads(out)["rounds"][0]["gold"]["n"] == 6
    code, out, _ = cli(
        "eval",
        "-m",
        str(tmp_path / "run"),
        "-b",
        "starter:gold",
        "--limit",
        "4",
        "--max-new-tokens",
        "8",
        "--close",
        "--json",
    )
    assert code == 0
    assert json.loads(out)["coverage"] == 1


@pytest.mark.slow
def test_train_report_and_inspect(cli, tmp_path: Path) -> None:
    """The whole path as a user types it, on the random model: one round, the report, a look at what was dropped."""
    small = {"path": "starter:labeled", "limit": 4}
    config = {
        "model": "tiny-random",
        "data": {
            "seed": small,
            "pool": {"path": "starter:unlabeled", "limit": 4},
            "gold": {"path": "starter:gold", "limit": 4},
        },
        # Read directly, a label whose rationale is too short would be kept without it.
        "judge": {"verdict": "reasoned"}
        | {part: {"max_new_tokens": 4, "close_on_budget": True} for part in ("pool", "gold")},
        "training": {"epochs": 1, "min_steps": 0},
        "filters": [{"kind": "rationale", "min_words": 50}],
    }
    (tmp_path / "run.yaml").write_text(json.dumps(config))
    run_folder = str(tmp_path / "r")
    code, text, _ = cli("train", str(tmp_path / "run.yaml"), "--out", run_folder, "--json", "--quiet")
    assert code == 0
    result = json.loads(text)
    assert [row["verdict"] for row in result["rounds"][1:]] == ["skipped"]
    assert Path(result["report"]).read_text().startswith("<!doctype html>")
    code, text, _ = cli("train", str(tmp_path / "run.yaml"), "--out", run_folder)
    assert "1 (round)" not in text
    assert "0 (seed)" in text
    assert all(name in text for name in ("report", "longer", "bag-of-words", "frozen-features"))
    assert "Warning: Gold is too small" in text
    assert set(result["baselines"]) == {"longer", "bag-of-words", "frozen-features"}
    code, text, _ = cli("report", run_folder, "--json", "--out", str(tmp_path / "x.html"))
    assert (code, json.loads(text)) == (0, {"report": str(tmp_path / "x.html")})
    code, text, _ = cli("inspect", run_folder, "--round", "1", "--dropped-by", "rationale", "--limit", "1")
    assert code == 0
    assert "rationale: it is too short" in text
    code, _, err = cli("inspect", run_folder, "--dropped-by", "taste")
    assert code == 2
    assert "comparisons were dropped by rationale" in err
    assert cli("report", str(tmp_path))[0] == 1
