"""Files are there whole or not at all, and a copied tree has the bytes of the first."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramr2.files import link_tree, read_jsonl, write_json, write_jsonl, write_text
from gramr2.hashing import digest_of

# Among the characters are the ends of lines of other systems and of Unicode.
texts = st.text(st.sampled_from('a"\\é😀\n\r\x1c\x85\u2028'), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
rows = st.lists(st.dictionaries(texts, values, max_size=3), max_size=4)


@settings(max_examples=30)
@given(rows)
def test_rows_are_read_as_they_were_written_one_a_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows" / "d.jsonl"
    write_jsonl(path, rows)
    assert read_jsonl(path) == rows
    assert path.read_bytes().count(b"\n") == len(rows)


def test_texts_stand_in_a_file_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "t"
    write_text(path, "older and longer than the other")
    write_text(path, "é → \u2028x\n")
    assert path.read_bytes() == "é → \u2028x\n".encode()
    write_jsonl(tmp_path / "d.jsonl", [{"t": "é\u2028"}])
    assert (tmp_path / "d.jsonl").read_bytes() == '{"t": "é\u2028"}\n'.encode()
    write_json(tmp_path / "t.json", {"t": ["é"]})
    assert (tmp_path / "t.json").read_text(encoding="utf-8") == '{\n  "t": [\n    "é"\n  ]\n}\n'
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["d.jsonl", "folder", "new", "t", "t.json"]


def test_what_was_there_stays_until_the_new_file_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"

    def rows() -> Iterator[dict[str, Any]]:
        yield {"new": 1}
        assert path.read_text() == "old", "a reader sees the old file while the new one is written"
        raise RuntimeError("interrupted")

    path.write_text("old")
    with pytest.raises(RuntimeError, match="interrupted"):
        write_jsonl(path, rows())
    with pytest.raises(TypeError):
        write_json(path, {1, 2})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "x" * 100_000 + "\ud800")
    assert path.read_text() == "old"
    # What was left half-written does not disturb the next try.
    write_jsonl(path, [{"new": 2}])
    assert read_jsonl(path) == [{"new": 2}]


def test_rows_are_on_disk_before_they_take_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.jsonl"
    seen: list[tuple[int, bool]] = []

    def fsync(number: int) -> None:
        seen.append((os.fstat(number).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_jsonl(path, [{"a": 1}, {"b": 2}])
    assert seen == [(path.stat().st_size, False)]


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "d.jsonl"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_jsonl(path, [{"a": 1}])
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(tmp_path / "t", "text")
    assert caught.value.filename == str(tmp_path / "t")
    assert not path.exists() and not (tmp_path / "t").exists()


def test_a_digest_is_of_the_content_alone() -> None:
    row = {"b": ["é", 1.5, None], "a": {"y": 1, "x": 2}}
    text = '[{"a": {"x": 2, "y": 1}, "b": ["é", 1.5, null]}]'
    assert digest_of([row]) == digest_of(({"a": {"x": 2, "y": 1}, "b": ("é", 1.5, None)},))
    assert digest_of([row]) == hashlib.sha256(text.encode()).hexdigest()[:24]
    others = [[row, row], [row | {"b": []}], {"0": row}, [json.dumps(row)], [], None, "\ud800"]
    assert len({digest_of(each) for each in [[row], *others]}) == len(others) + 1


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a file of its own, one in a folder, and a link to a file elsewhere, as the hub's cache has them."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "blob").write_text("weights")
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "own").write_text("own")
    (source / "inner" / "file").write_text("inner")
    (source / "linked").symlink_to(Path("..") / "elsewhere" / "blob")
    return source


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


EXPECTED = {"own": "own", "inner/file": "inner", "linked": "weights"}


def test_a_tree_is_copied_by_hard_links_to_the_files_themselves(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "far" / "away" / "target"
    link_tree(tree, target)
    assert contents(target) == EXPECTED
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert all((target / name).samefile(tree / name) for name in EXPECTED)
    shutil.rmtree(tree)
    shutil.rmtree(tmp_path / "elsewhere")
    assert contents(target) == EXPECTED


def test_a_disk_without_hard_links_gets_a_copy(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, made = os.link, []

    def once(source: str, target: str) -> None:
        if made:
            raise OSError(errno.EPERM, "Operation not permitted", source)
        made.append(target)
        link(source, target)

    monkeypatch.setattr(os, "link", once)
    link_tree(tree, tmp_path / "target")
    assert made, "one file was linked before the disk refused"
    assert contents(tmp_path / "target") == EXPECTED
    assert not any((tmp_path / "target" / name).samefile(tree / name) for name in EXPECTED)
