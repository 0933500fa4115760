"""Tables of the docs are what the code says."""

from __future__ import annotations

from pathlib import Path

import doc_tables
import pytest


def test_the_docs_are_up_to_date_and_a_stale_table_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doc_tables.main(["--check"])
    monkeypatch.setattr(doc_tables, "DOCS", tmp_path)
    file = tmp_path / "a.md"
    file.write_text("text\n<!-- table: filters -->\nold\n<!-- end -->\nrest\n")
    with pytest.raises(SystemExit, match=r"a\.md: .* make docs"):
        doc_tables.main(["--check"])
    assert "old" in file.read_text()
    doc_tables.main([])
    doc_tables.main(["--check"])
    text = file.read_text()
    assert text.startswith("text\n") and text.endswith("\nrest\n")
    assert "| `history` | decisions | labels that the previous round's judge gave too" in text
