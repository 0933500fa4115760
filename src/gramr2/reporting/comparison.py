"""A comparison of judges as a page, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gramr2.evaluation.compare import Compared, Pair, Standing
from gramr2.reporting.pages import template
from gramr2.text import more_of, p_value, percent, signed

LISTED = 200
"""disagreements of a pair that the page lists"""


COLUMNS = {
    "items": ("accuracy", "95 % interval", "undecided as wrong", "decided", "order flips"),
    "sets": ("mean score", "95 % interval", "with failures", "ranked"),
}
"""of the table of judges"""


def as_html(found: Compared) -> str:
    """One self-contained page."""
    parts = [
        (what, part, [(pair, verdict(pair, what)) for pair in part.pairs], [*untied(part)])
        for what, part in found.parts
    ]
    return template("comparison.html.j2").render(found=found, parts=parts, listed=LISTED)


def as_markdown(found: Compared) -> str:
    """Tables for a pull request or a paper."""
    return "\n".join(_lines(found)) + "\n"


def verdict(pair: Pair, what: str = "items") -> str:
    """Who is better, in a sentence that also says what could not have been seen; ``what`` is compared, items or sets."""
    test = pair.whole.test
    bounds = f"{signed(test.difference)} points ({signed(test.low)} to {signed(test.high)})"
    if pair.whole.significant:
        better, worse = pair.second, pair.first
        if test.difference < 0:
            better, worse = worse, better
            bounds = f"{signed(-test.difference)} points ({signed(-test.high)} to {signed(-test.low)})"
        return f"{better} is better than {worse}: {bounds}, {p_value(pair.whole.adjusted)}."
    if pair.visible is None:
        return f"{pair.first} and {pair.second} are {'right on the same items' if what == 'items' else 'as good on every set'}."
    return (
        f"No difference between {pair.first} and {pair.second} is shown: {bounds}, {p_value(pair.whole.adjusted)}; "
        f"{pair.whole.n} {what} would show one of {100 * pair.visible:.1f} points."
    )


def untied(found: Compared) -> Iterator[str]:
    """What a comparison without ties leaves out, a sentence each."""
    if found.tied:
        yield f"left out as labelled ties: {found.tied}"
    for name, level in found.level.items():
        if level:
            yield f"{name}: ties that stay wrong, since both responses are equally likely or it gave no probabilities: {level}"


def _lines(found: Compared) -> Iterator[str]:
    for what, part in found.parts:
        yield from _part(part, what)


def _part(found: Compared, what: str) -> Iterator[str]:
    left = f", {found.left_out} left out that not all have" if found.left_out else ""
    yield f"{_cell(found.benchmark)}: {found.n} {what} in common{left}."
    yield ""
    yield from _table(
        ["judge", *COLUMNS[what], "group"],
        [[*_standing(each)[: 1 + len(COLUMNS[what])], each.groups] for each in found.standings],
    )
    yield ""
    yield "Judges that share a letter are not significantly different."
    for line in untied(found):
        yield from ("", _cell(f"{line}."))
    for pair in found.pairs:
        yield from ("", _cell(verdict(pair, what)))
    for pair in found.pairs:
        if not pair.categories:
            continue
        yield from ("", f"{_cell(pair.second)} against {_cell(pair.first)}, by category:", "")
        rows = [
            [
                each.name,
                str(each.n),
                signed(each.test.difference),
                f"{signed(each.test.low)} to {signed(each.test.high)}",
                p_value(each.adjusted),
                more_of(each.more, "shown"),
            ]
            for each in pair.categories
        ]
        yield from _table(["category", "n", "points", "95 % interval", "corrected", f"more {what}"], rows)
    yield ""


def _standing(each: Standing) -> list[str]:
    bounds = "–" if each.low is None or each.high is None else f"{percent(each.low)} to {percent(each.high)}"
    flips = percent(each.order_flip_rate)
    return [each.name, percent(each.accuracy), bounds, percent(each.strict), str(each.decided), flips]


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    """The text without what Markdown would read in it."""
    return re.sub(r"([\\`*_~\[\]!|#])", r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")
