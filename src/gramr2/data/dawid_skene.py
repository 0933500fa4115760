"""The most probable labels when annotators make mistakes, each their own: Dawid and Skene (1979), as crowd-kit fits it."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Label
from gramr2.errors import MissingDependencyError


def most_probable(answers: Sequence[Sequence[tuple[str, Label]]]) -> list[Label]:
    """The label of each comparison, from the names of its annotators and their labels.

    Every comparison counts in both orders, so that the result does not depend on which response is stored first; where A and B
    are equally probable, it is a tie.

    Raises:
        MissingDependencyError: crowd-kit is not installed.
    """
    try:
        from crowdkit.aggregation.classification.dawid_skene import DawidSkene
    except ImportError as error:
        raise MissingDependencyError("crowd-kit", "annotators", "data.aggregate: dawid_skene") from error
    from pandas import DataFrame

    rows = [
        (2 * place + turned, who, (label.swap() if turned else label).value)
        for place, given in enumerate(answers)
        for who, label in given
        for turned in (0, 1)
    ]
    frame = DataFrame(rows, columns=["task", "worker", "label"])
    beliefs = DawidSkene(n_iter=100).fit_predict_proba(frame)
    found = []
    for place in range(len(answers)):
        belief = {Label(name): float(value) for name, value in beliefs.loc[2 * place].items()}
        a, b, tie = (belief.get(label, 0.0) for label in (Label.A, Label.B, Label.TIE))
        # The two orders are fitted alike up to rounding.
        undecided = abs(a - b) < 1e-6 or tie >= max(a, b)
        found.append(Label.TIE if undecided else Label.A if a > b else Label.B)
    return found
