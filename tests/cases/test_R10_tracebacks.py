"""Odd files and flags end in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (3000 * "[", "nested too deeply"),
        ("seed: 2024-13-99", "a value is not possible"),
        ("seed: 1\x08", "not valid YAML"),
        ("{a: &x 1, b: *y}", "not valid YAML"),
        ("? [1, 2]\n: {}", "not valid YAML"),
    ],
)
def test_a_run_file_that_yaml_cannot_read(cli, tmp_path: Path, text: str, said: str) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(text)
    code, _, error = cli("check", str(run))
    assert (code, said in error) == (2, True), error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("out", ["/", "", ".", "folder"])
@pytest.mark.parametrize(
    ("command", "row"),
    [
        ("judge", '{"id": "1", "prompt": "q", "responses": ["a", "bb"]}'),
        ("rank", '{"id": "1", "prompt": "q", "responses": ["a", "bb", "c"]}'),
        ("score", '{"id": "1", "prompt": "q", "response": "a", "reference": "b"}'),
    ],
)
def test_a_folder_is_no_file_to_write(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, row: str, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    data = tmp_path / "d.jsonl"
    data.write_text(f"{row}\n")
    code, _, error = cli(command, "-m", "scripted:longer", "-d", str(data), "-o", out)
    assert code == 2
    assert "name the file to write" in error
    assert [each.name for each in (tmp_path / "folder").iterdir()] == []


@pytest.mark.parametrize("deadline", ["inf", "1e30", "0"])
def test_a_deadline_is_a_number_of_seconds(cli, deadline: str) -> None:
    code, _, error = cli("serve", "-m", "scripted:longer", "--deadline", deadline)
    assert (code, "--deadline" in error) == (2, True), error


def test_a_date_out_of_range_is_named(cli, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    texts = {"prompt": ["q"], "response_a": ["a"], "response_b": ["b"]}
    far = pyarrow.array([2**62], pyarrow.timestamp("us"))
    file = tmp_path / "d.parquet"
    pyarrow.parquet.write_table(pyarrow.table(texts | {"at": far}), file)
    code, _, error = cli("judge", "-m", "scripted:longer", "-d", file, "-o", tmp_path / "o.jsonl")
    assert code == 2
    assert "a date or time in it is out of Python's range" in error
    assert len(error.splitlines()) == 1


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(8 * [f'*{before}'])}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "holds more than 100,000 values"),
        ("# " + "x" * (2 << 20), "larger than 1 MiB"),
        ("model: m\ndata: {seed: a, gold: b}\nfilters: [" + 5000 * "x, " + "]", "and 4995 more mistakes"),
        ("model: tiny-random\nrounds: 0\ndata: {seed: " + 9000 * "x" + ", gold: b}", "no such file"),
        ("model: tiny-random\nrounds: 0\ndata: {seed: " + 9000 * "x" + ".jsonl, gold: b}", "does not exist"),
        (
            "model: " + 9000 * "x" + "\nrounds: 0\ndata: {seed: 'starter:labeled', gold: 'starter:gold'}",
            "there is no model",
        ),
        (
            "model: " + 9000 * "x" + ".gguf\nrounds: 0\ndata: {seed: 'starter:labeled', gold: 'starter:gold'}",
            "does not exist",
        ),
    ],
)
def test_a_run_file_of_too_much(cli, tmp_path: Path, text: str, said: str) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(text)
    code, _, error = cli("check", run)
    assert (code, said in error) == (2, True), error[:2000]
    assert (len(error.splitlines()), len(error) < 3000) == (1, True)


def test_a_name_too_long_for_a_file(cli, tmp_path: Path) -> None:
    for name in ("x" * 9000 + ".jsonl", "x" * 9000):
        code, _, error = cli("judge", "-m", "scripted:longer", "-d", name, "-o", tmp_path / "o.jsonl")
        assert code == 2
        assert "no such file" in error
