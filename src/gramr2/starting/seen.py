"""What a source shows: its rows, columns and format, its labels, and how long its texts are. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import quantiles

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.data import Layout
from gramr2.data import OnBadRow, load
from gramr2.data.labels import UnclearLabelsError
from gramr2.data.rows import recognised
from gramr2.data.sources import Opening
from gramr2.data.split import prompt_key
from gramr2.errors import DataError
from gramr2.selftraining.run.doubts import doubts
from gramr2.starting.guess import guessed

PEEK = 200
"""rows whose columns are looked at"""


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was read.

    ``name`` is what a sentence calls it, ``layout`` what of the user's layout applies to it. ``columns`` are those of its first
    rows, ``formats`` what these rows were read as, and ``skipped`` has a reason for each row that is not a comparison.
    """

    path: str
    name: str
    layout: Layout
    columns: tuple[str, ...]
    formats: tuple[str, ...]
    labelled: tuple[LabeledComparison, ...]
    unlabelled: tuple[Comparison, ...]
    rows: int
    skipped: tuple[str, ...]

    @property
    def mixed(self) -> bool:
        """Whether only some of its rows have a label."""
        return bool(self.labelled and self.unlabelled)


def names_of(paths: Sequence[str]) -> list[str]:
    """What sentences call sources: a file by its name or, if two have the same, by as much of its path as tells them apart."""
    found: list[str] = []
    for path in paths:
        ends = [Path(*Path(path).parts[-count:]) for count in range(1, len(Path(path).parts) + 1)]
        others = [Path(other) for other in paths if other != path]
        telling = (str(end) for end in ends if not any(other.parts[-len(end.parts) :] == end.parts for other in others))
        found.append(path if ":" in path else next(telling, path))
    return found


def look(path: str, layout: Layout, name: str | None = None) -> Source:
    """Read a source, which sentences call by its name. Rows that are no comparisons are skipped, and why is kept.

    Raises:
        DataError: it cannot be read, or nothing in it is a comparison; where columns of other names may be meant, with flags that
            say so.
    """
    peeked = list(islice(Opening(path, layout=layout).rows(), PEEK))
    rows = [row for _, _, row in peeked if isinstance(row, Mapping)]
    columns = tuple(dict.fromkeys(str(name) for row in rows for name in row))
    own = _applying(layout, columns)
    try:
        loaded = load(path, on_bad_row=OnBadRow.SKIP, layout=own)
    except DataError as error:
        flags = "" if own.columns or isinstance(error, UnclearLabelsError) else guessed(rows)
        raise DataError(f"{error}; perhaps  {flags}" if flags else str(error)) from error
    return Source(
        path,
        name or path,
        own,
        columns,
        tuple(sorted({name for row in rows if (name := recognised(row, own))})),
        tuple(item for item in loaded.comparisons if isinstance(item, LabeledComparison)),
        tuple(item for item in loaded.comparisons if isinstance(item, Comparison)),
        loaded.report.rows,
        loaded.report.skipped,
    )


def _applying(layout: Layout, columns: Sequence[str]) -> Layout:
    """The layout without the names of columns that this source does not have: unlabelled files have no label."""
    there = set(columns)
    kept = {
        target: names
        for target, names in layout.columns.items()
        if there.issuperset([names] if isinstance(names, str) else names)
    }
    return layout.model_copy(update={"columns": kept})


def told(source: Source) -> str:
    """One sentence: what the source holds, and what its columns were read as."""
    parts = []
    if source.labelled:
        counts = Counter(item.label for item in source.labelled)
        parts.append(
            f"{len(source.labelled)} labelled comparisons ({', '.join(f'{label.value} {counts[label]}' for label in Label)})"
        )
    if source.unlabelled:
        parts.append(f"{len(source.unlabelled)} without a label")
    shown = [str(name) for name in source.columns[:8]] + (["…"] if len(source.columns) > 8 else [])
    skipped = (
        f"; {len(source.skipped)} of {source.rows} rows are bad (the first: {source.skipped[0]})"
        if source.skipped
        else ""
    )
    form = f", read as {' and '.join(source.formats)}" if source.formats else ""
    return f"{source.name}: {' and '.join(parts)}; columns {', '.join(shown)}{form}{skipped}"


def found_in(items: Sequence[LabeledComparison]) -> list[str]:
    """A sentence for each thing that a person should know of labelled comparisons before they are learnt from."""
    said, n = [], len(items)
    prompts = len({prompt_key(item.comparison) for item in items})
    if prompts < n:
        said.append(f"{n} labelled comparisons have {prompts} different prompts")
    doubtful = doubts(items)
    if doubtful["repeated"]:
        agreed = f", Krippendorff's α {doubtful['alpha']:.2f}" if doubtful["alpha"] is not None else ""
        said.append(
            f"{doubtful['repeated']} comparisons are labelled more than once, {doubtful['conflicting']} of them "
            f"differently{agreed}"
        )
    names = {item.annotator for item in items if item.annotator}
    if names:
        said.append(f"{len(names)} annotators are named")
    if doubtful["identical_responses"]:
        said.append(f"{doubtful['identical_responses']} comparisons have two identical responses")
    rationales = sum(item.rationale is not None for item in items)
    if rationales:
        said.append(f"{rationales} of {n} labels come with a rationale")
    return said


def lengths(items: Sequence[Comparison], count: Callable[[Comparison], int]) -> tuple[int, int, int]:
    """The median, the 95th percentile and the most of what ``count`` counts in a comparison."""
    counts = sorted(map(count, items))
    if len(counts) < 2:
        return counts[0], counts[0], counts[0]
    cut = quantiles(counts, n=20, method="inclusive")
    return round(cut[9]), round(cut[18]), counts[-1]
