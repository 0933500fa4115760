"""The versions that the tests ran with fit what pyproject.toml asks for."""

from __future__ import annotations

from pathlib import Path

import constraints
import pytest
from packaging.requirements import Requirement


def test_the_file_fits_and_a_stale_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constraints.main(["--check"])
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((constraints.ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(constraints, "ROOT", tmp_path)
    constraints.main(["--check"])
    file = tmp_path / "constraints.txt"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("rich==", "scipy=="))]
    file.write_text("\n".join([*lines, "scipy==1.0"]) + "\n")
    with pytest.raises(SystemExit, match=r"rich has no version; scipy 1\.0 is outside >=1\.17: run  make constraints"):
        constraints.main(["--check"])


def test_what_is_written_passes_the_check_and_follows_the_requirements() -> None:
    wanted = [Requirement("rich>=15"), Requirement("httpx")]
    found = constraints.tested(wanted)
    assert {"rich", "pygments", "httpx", "httpcore", "idna"} <= set(found)
    assert "torch" not in found
    assert constraints.mistakes(constraints.text_of(found), wanted) == []
    assert constraints.mistakes("rich>=15\n", wanted) == ["not NAME==VERSION: rich>=15"]
    assert constraints.mistakes("rich==15.0\nrich==15.0\n", wanted) == ["a name stands twice", "httpx has no version"]
    with pytest.raises(SystemExit, match="no-such-package is not installed"):
        constraints.tested([Requirement("no-such-package")])
    with pytest.raises(SystemExit, match="rich .* is installed, and <2 is asked for"):
        constraints.tested([Requirement("httpx"), Requirement("rich<2")])
