"""A judge's agreement with people, from the lines of an evaluation.

log = read_log(Path("runs/eval/…"))
agreement_of(log.items, bar=0.7).people
"""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Label
from gramr2.errors import ConfigError
from gramr2.evaluation.agreement.alternative import EPSILON
from gramr2.evaluation.agreement.coefficients import Resampled
from gramr2.evaluation.agreement.differing import LISTED, categories_of, differing_of
from gramr2.evaluation.agreement.needed import BAR, needed_of
from gramr2.evaluation.agreement.people import Line, kappa_with, people_of, same_as
from gramr2.evaluation.agreement.records import AgreementReport
from gramr2.evaluation.log import Item, group_of

NOBODY = (
    "no row names its annotator, so that how far people agree, and whether the judge agrees with them as well as they do, is not "
    "known: give each label a row of its own with a column annotator"
)
ALONE = "no comparison has labels by two annotators, so that how far people agree is not known: let two people label some of them"


def agreement_of(
    items: Sequence[Item], *, bar: float = BAR, epsilon: float = EPSILON, seed: int = 0, notes: Sequence[str] = ()
) -> AgreementReport:
    """How far a judge agrees with people.

    Comparisons of one group, or of one prompt, are one unit of every bootstrap.

    Args:
        items: the lines of an evaluation; ``annotations`` are the labels of its annotators.
        bar: the accuracy that ``needed`` is about, between 0 and 1.
        epsilon: what the judge may be worse than a person, see ``gramr2.evaluation.agreement.alternative``.
        seed: of the bootstrap.
        notes: what is known to be missing, a sentence each.

    Raises:
        ConfigError: the bar is not between 0 and 1.
    """
    if not 0 < bar < 1:
        raise ConfigError(f"--bar {bar}: a share between 0 and 1, such as 0.5")
    lines = [
        Line(
            None if item.label is None else Label(item.label),
            {name: Label(label) for name, label in item.annotations.items()},
            group_of(item),
        )
        for item in items
    ]
    drawn = Resampled([line.group for line in lines], seed)
    expected = {i: Label(item.expected) for i, item in enumerate(items)}
    people = people_of(lines, drawn, seed, epsilon)
    differing = differing_of(items, lines)
    told = [*notes]
    if people is None and not any("annotator" in note for note in notes):
        told.append(ALONE if any(line.labels for line in lines) else NOBODY)
    if people is not None and people.why is not None:
        told.append(people.why)
    return AgreementReport(
        bar=bar,
        same=same_as(lines, expected, seed),
        kappa=kappa_with(lines, expected, drawn),
        people=people,
        categories=categories_of(items, lines, drawn, seed),
        needed=needed_of(items, lines, bar, seed),
        differ=len(differing),
        differing=differing[:LISTED],
        notes=tuple(told),
    )
