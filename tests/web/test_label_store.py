"""Labels on disk: whatever ends the process, what was answered is there, and a seed file is a seed file at every moment."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gramr2.data import load_labeled
from gramr2.errors import ConfigError, RunError
from gramr2.web.labelling.store import LabelStore


def label(name: str, verdict: str = "A", who: str | None = None) -> dict[str, object]:
    row = {"id": name, "prompt": f"p {name}", "responses": ["x", "y"], "label": verdict}
    return {"event": "label", "id": name, "annotator": who, "row": row}


def skip(name: str) -> dict[str, object]:
    return {"event": "skip", "id": name, "annotator": None}


def undo(name: str) -> dict[str, object]:
    return {"event": "undo", "id": name, "annotator": None}


def ids(out: Path) -> list[str]:
    return [json.loads(line)["id"] for line in out.read_text().splitlines()]


def test_labels_are_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "labels.jsonl"
    with LabelStore(out) as store:
        assert out.read_text() == ""
        for event in (label("1"), skip("2"), label("3", "tie")):
            store.add(event)
        assert ids(out) == ["1", "3"]
    with LabelStore(out) as again:
        assert [*again.answers] == ["1", "2", "3"]
        again.add(undo("3"))
        again.add(label("3", "B"))
    items, _ = load_labeled(str(out))
    assert [(item.comparison.id, item.label.value) for item in items] == [("1", "A"), ("3", "B")]
    assert len(out.with_name("labels.jsonl.log").read_text().splitlines()) == 5, "the log only grows"


@pytest.mark.parametrize("last", ["log", "cut"])
def test_a_crash_between_log_and_file_loses_nothing(tmp_path: Path, last: str) -> None:
    out = tmp_path / "labels.jsonl"
    with LabelStore(out) as store:
        store.add(label("1"))
    with store.log.open("a") as log:
        line = json.dumps(label("2"))
        log.write(line + "\n" if last == "log" else line[:40])
    with LabelStore(out) as again:
        assert ids(out) == (["1", "2"] if last == "log" else ["1"])
        assert again.damaged == (last == "cut")
        again.add(label("3"))
    assert ids(out)[-1] == "3"
    with LabelStore(out) as whole:
        assert "3" in whole.answers, "half a line does not spoil the next one"


def test_a_file_that_could_not_be_written_for_a_while_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "labels.jsonl"

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    later = [label("2"), skip("3"), undo("1"), label("1", "B"), label("4")]
    for begun in ([], [label("1")]):
        with LabelStore(out) as store:
            for event in begun:
                store.add(event)
            with monkeypatch.context() as patch:
                patch.setattr("gramr2.web.labelling.store.replace_file", full)
                for event in later:
                    with pytest.raises(OSError, match="No space"):
                        store.add(event)
        assert ids(out) == [each["id"] for each in begun]
        with LabelStore(out):
            assert ids(out) == ["2", "1", "4"]
        out.unlink()
        store.log.unlink()


def test_killed_at_any_moment(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    code = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_label_store import LabelStore, label
        with LabelStore(Path({str(out)!r})) as store:
            for k in range(100000):
                store.add(label(str(k)))
                print(k, flush=True)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(30)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    answered = [int(line) for line in told if line.endswith("\n") and line.strip()]
    assert len(answered) >= 30
    load_labeled(str(out))
    with LabelStore(out):
        assert set(map(int, ids(out))) >= set(answered)


def test_a_full_disk_is_an_error_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "labels.jsonl"

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with LabelStore(out) as store:
        store.add(label("1"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space") as failed:
                store.add(label("2"))
        assert failed.value.filename == str(store.log)
        assert [*store.answers] == ["1"]
        store.add(label("3"))
    with LabelStore(out) as again:
        assert ([*again.answers], again.damaged) == (["1", "3"], 0)


def test_what_was_not_written_here_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    out.write_text('{"id": "mine"}\n')
    with pytest.raises(ConfigError, match="were not given here"):
        LabelStore(out)
    assert out.read_text() == '{"id": "mine"}\n'
    out.unlink()
    with LabelStore(out) as store:
        store.add(label("1"))
    out.write_text(out.read_text().replace('"A"', '"B"'))
    with pytest.raises(RunError, match="was changed by something else"):
        LabelStore(out)
    assert '"B"' in out.read_text()
    out.rename(tmp_path / "edited.jsonl")
    with LabelStore(out):
        assert ids(out) == ["1"]


def test_one_file_has_one_annotator_and_one_process(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    with LabelStore(out, "Ann") as store:
        store.add(label("1", who="Ann"))
        with pytest.raises(RunError, match="another gramr2 ui"):
            LabelStore(out, "Ann")
    for other in ("Bob", None):
        with pytest.raises(ConfigError, match="labels by Ann"):
            LabelStore(out, other)
    with LabelStore(out, "Ann"):
        pass


@pytest.mark.parametrize("name", ["labels.csv", "."])
def test_the_file_is_one_of_json_lines(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.jsonl"):
        LabelStore(tmp_path / name)
