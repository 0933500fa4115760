"""What a finished stage wrote: the size and SHA-256 of each of its files, kept beside them and checked before they are used.

What differs between two runs of the same stage is not listed: the times in reports, and the files of trackers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gramr2.backends.digests import file_digest
from gramr2.backends.registry import digest_of_weights
from gramr2.errors import RunError
from gramr2.files import write_text
from gramr2.selftraining.run.records import VERSION, Record

FILE = "manifest.json"
MODEL = "model"
SLICE, SEED, KEPT, DROPPED, LABELLING = "slice.json", "seed.jsonl", "kept.jsonl", "dropped.jsonl", "labelling.json"
READINGS, GOLD, METRICS = "readings.json", "gold.jsonl", "metrics.json"
OF_A_ROUND = (SLICE, SEED, KEPT, DROPPED, LABELLING, READINGS, GOLD, METRICS)
_TIMED = "gramr2_training.json"


class Entry(Record):
    """A file of a finished stage."""

    bytes: int
    sha256: str


class Manifest(Record):
    """``manifest.json``: the files of a finished stage by their path in its folder."""

    files: dict[str, Entry]
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what the stage wrote, and in what way."""

    file: str
    what: str

    @property
    def in_model(self) -> bool:
        """Whether it belongs to the stage's model."""
        return self.file.startswith(f"{MODEL}/")

    def __str__(self) -> str:
        return f"{self.file} {self.what}"


def seal(folder: Path) -> None:
    """Write the manifest of a stage that has all its files."""
    write(folder, manifest_of(folder))


def write(folder: Path, manifest: Manifest) -> None:
    """Write a manifest beside the files that it lists."""
    write_text(folder / FILE, json.dumps(manifest.row(), indent=1) + "\n")


def manifest_of(folder: Path, pending: Mapping[str, str] | None = None) -> Manifest:
    """The manifest of a stage.

    Args:
        pending: texts of files that are written next. The last file of a stage says that it is finished, and must not be there
            without the manifest.
    """
    files = {
        name: Entry(bytes=(folder / name).stat().st_size, sha256=digest_of_weights(folder / name))
        for name in _there(folder)
    }
    for name, text in (pending or {}).items():
        data = text.encode()
        files[name] = Entry(bytes=len(data), sha256=sha256(data).hexdigest())
    return Manifest(files=dict(sorted(files.items())), version=VERSION)


def sealed(folder: Path) -> Manifest | None:
    """The manifest of a stage; None if an older version finished it.

    Raises:
        RunError: it cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        return Manifest.read(file)
    except (RunError, ValueError) as error:
        raise RunError(f"{file} is damaged: restore it, or remove it to go on without a check of this stage") from error


def damage(folder: Path, manifest: Manifest, *, afresh: bool = False) -> list[Damage]:
    """The files that are not what a stage wrote. A model that was removed as a whole is not damaged.

    Args:
        afresh: read every file; otherwise a large one that has not changed since it was last read is not read again.
    """
    digest = file_digest if afresh else digest_of_weights
    gone = not (folder / MODEL).exists()
    names = (name for name in manifest.files if not (gone and name.startswith(f"{MODEL}/")))
    return [found for name in names if (found := _compared(folder / name, name, manifest.files[name], digest))]


def refuse_damage(folder: Path, found: list[Damage], remedy: str) -> None:
    """Raise a ``RunError`` if there is any damage."""
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RunError(f"{folder / found[0].file} is not what the run wrote, it {found[0].what}{more}: {remedy}")


def torn_weights(folder: Path) -> list[Damage]:
    """The safetensors files of a model whose length is not what their header says: a check that needs no manifest."""
    return [
        Damage(f"{MODEL}/{file.name}", "is cut off")
        for file in sorted((folder / MODEL).glob("*.safetensors"))
        if _torn(file)
    ]


def _torn(file: Path) -> bool:
    with file.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        whole = file.stat().st_size
        if not 2 <= size <= whole - 8:
            return True
        try:
            header = json.loads(handle.read(size))
            ends = [value["data_offsets"][1] for name, value in header.items() if name != "__metadata__"]
            return bool(8 + size + max(ends, default=0) != whole)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return True


def _there(folder: Path) -> Iterator[str]:
    yield from (name for name in OF_A_ROUND if (folder / name).is_file())
    for file in sorted((folder / MODEL).rglob("*")):
        if file.is_file() and file.name != _TIMED and file.suffix != ".tmp":
            yield str(file.relative_to(folder))


def _compared(file: Path, name: str, entry: Entry, digest: Callable[[Path], str]) -> Damage | None:
    if not file.is_file():
        return Damage(name, "is missing")
    size = file.stat().st_size
    if size != entry.bytes:
        return Damage(name, f"has {size} bytes instead of {entry.bytes}")
    return None if digest(file) == entry.sha256 else Damage(name, "has other content")
