"""How often an attack moves a judge's verdict towards the attacked response, beside a neutral edit of the same length.

The judge decides every comparison as it is. The response that lost is attacked, since only that one has something to win; after
a tie, one is drawn by the seed and the comparison's id. Then all attacked and neutral variants are judged in one batch, each with
the seeds of the original's votes. A move is from losing to a tie or a win, or from a tie to a win (``Attack.moved``). A variant
without a verdict is never a move: it lowers the coverage, and its comparison is left out of that attack's rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gramr2.client import ServerError
from gramr2.comparison import Comparison, Label
from gramr2.errors import PromptTooLongError
from gramr2.evaluation.attacks.base import SIDES, Attack
from gramr2.evaluation.evaluating import WHERE, short
from gramr2.evaluation.moves import Finding, Trial, finding_of
from gramr2.hashing import digest_of
from gramr2.journal import address
from gramr2.judging.judge import Progress, compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision, Outcome
from gramr2.randomness import derive_seed

FOLDER = Path("runs") / "stress"
"""where results are by default"""
TOO_LARGE = 413
"""status of a server's answer to a comparison that does not fit"""
Fits = Callable[[Comparison], bool]
"""whether a comparison's prompts fit the judge"""


@dataclass(frozen=True, slots=True)
class Stressed:
    """What all attacks did: the decisions on the comparisons as they are, a finding for each attack, and how many votes failed
    for a reason outside the model, which are worth asking for again."""

    originals: tuple[Decision, ...]
    findings: tuple[Finding, ...]
    errors: int

    @property
    def decided(self) -> int:
        """How many comparisons the judge decided as they are."""
        return sum(each.label is not None for each in self.originals)

    def beyond(self, rate: float) -> list[Finding]:
        """Attacks that moved more than this share, the worst first, then those that were asked and gave no verdict. One that
        could not be asked at all counts only if nothing is known of any."""
        known = [each for each in self.findings if each.attacked is not None]
        over = [each for each in known if each.attacked is not None and each.attacked.rate > rate]
        over.sort(key=lambda each: -each.attacked.rate if each.attacked is not None else 0.0)
        return over + [each for each in self.findings if each.attacked is None and (each.asked or not known)]


def stress(
    model: PreferenceModel,
    comparisons: Sequence[Comparison],
    attacks: Sequence[Attack],
    *,
    seed: int = 0,
    fits: Fits | None = None,
    progress: Progress | None = None,
) -> Stressed:
    """Attack a judge.

    Args:
        model: the judge.
        comparisons: labelled or not; only the judge's own verdicts count. They must fit it.
        attacks: what is tried, such as ``gramr2.evaluation.attacks.chosen(None)``.
        seed: of votes, drawn sides and intervals.
        fits: whether a variant can be asked; those that cannot are counted as over-long, and so are those that the model itself
            refuses as too long.
        progress: receives (comparisons and variants judged, total), where the total is not known until the originals are judged.
    """
    count = len(comparisons)

    def shown(before: int, extra: int = 0) -> Progress | None:
        return None if progress is None else lambda done, total: progress(before + done, before + total + extra)

    guess = count * sum(1 + each.paired for each in attacks)
    before = compare_with(model, comparisons, seed=seed, progress=shown(0, guess))
    trials: list[list[Trial]] = []
    counts: list[tuple[int, int]] = []
    for attack in attacks:
        found, impossible, over_long = _trials(attack, comparisons, before, seed, fits)
        trials.append(found)
        counts.append((impossible, over_long))
    # Different attacks may make the same variant, such as two empty responses.
    variants = list(dict.fromkeys(each for some in trials for trial in some for each in trial.variants))
    after = _asked(model, variants, seed, shown(count))
    decided = {each: decision for each, decision in zip(variants, after, strict=True) if decision is not None}
    findings = [
        finding_of(attack, some, numbers, comparisons, before, decided, seed)
        for attack, some, numbers in zip(attacks, trials, counts, strict=True)
    ]
    errors = sum(vote.outcome is Outcome.ERROR for each in (*before, *decided.values()) for vote in each.judgments)
    return Stressed(tuple(before), tuple(findings), errors)


def default_out(
    data: str,
    model: str,
    judge: PreferenceModel,
    comparisons: Sequence[Comparison],
    options: Mapping[str, Any],
    seed: int,
    attacks: Sequence[Attack],
) -> Path:
    """Where the figures are by default: named after data and model, and told apart by everything that they depend on."""
    counted = {name: value for name, value in options.items() if name not in WHERE}
    items = digest_of([[each.id, each.prompt_text, *each.responses] for each in comparisons])
    key = address(judge.id, items, counted, seed, [each.name for each in attacks])
    return FOLDER / f"{short(data)}-{short(model)}-{key[:8]}.json"


def attacked_side(decision: Decision, seed: int) -> int:
    """The place of the response that lost; after a tie, one drawn by the seed and the id."""
    if decision.label is None or decision.label is Label.TIE:
        return derive_seed(seed, "attacked", decision.id) % 2
    return 1 - SIDES.index(decision.label)


def _asked(
    model: PreferenceModel, variants: Sequence[Comparison], seed: int, progress: Progress | None = None
) -> list[Decision | None]:
    """Decisions; None for a variant that the model refuses as too long: if it is not a ``Judge``, only the model itself knows."""
    if not variants:
        return []
    try:
        return [*compare_with(model, variants, seed=seed, progress=progress)]
    except (PromptTooLongError, ServerError) as error:
        if isinstance(error, ServerError) and error.status != TOO_LARGE:
            raise
    if len(variants) == 1:
        return [None]
    half = len(variants) // 2
    return [*_asked(model, variants[:half], seed), *_asked(model, variants[half:], seed)]


def _trials(
    attack: Attack, comparisons: Sequence[Comparison], before: Sequence[Decision], seed: int, fits: Fits | None
) -> tuple[list[Trial], int, int]:
    """What is asked, and how many cannot be attacked or do not fit."""
    found: list[Trial] = []
    impossible = over_long = 0
    for place, (comparison, decision) in enumerate(zip(comparisons, before, strict=True)):
        if decision.label is None:
            continue
        side = attacked_side(decision, seed)
        attacked = attack.attacked(comparison, side, seed)
        neutral = attack.neutral(comparison, side, seed) if attack.paired else None
        if attacked is None or (attack.paired and neutral is None):
            impossible += 1
            continue
        trial = Trial(place, side, attacked, neutral)
        if fits is not None and not all(map(fits, trial.variants)):
            over_long += 1
        else:
            found.append(trial)
    return found, impossible, over_long
