"""A judge's answers to a benchmark: pairs are compared, sets of responses ranked. Also our columns beside the official score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.evaluation import evaluating
from gramr2.evaluation.benchmarks import LoadedBenchmark
from gramr2.evaluation.benchmarks.intervals import interval_of
from gramr2.evaluation.benchmarks.items import Answer, Choice, Item, Pair, Placing, verdict_of
from gramr2.evaluation.evaluating import Asked
from gramr2.evaluation.log import Item as Line
from gramr2.evaluation.log import Summary
from gramr2.evaluation.metrics import Accuracy, evaluate, length_baseline, wilson
from gramr2.evaluation.ranked import RankedSet
from gramr2.judging.judge import Judge, compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.records import prompt_row
from gramr2.judgment import BOTH, Decision
from gramr2.rewards.ranking import Ranking, comparisons_of, longest, rank
from gramr2.rewards.tournaments import RoundRobin, Tournament
from gramr2.text import encodable


@dataclass(frozen=True, slots=True)
class Answered:
    """``answers`` are one for each item, in its order; ``decisions`` and ``seconds`` are of the pairs and ``rankings`` of the
    choices."""

    answers: tuple[Answer, ...]
    decisions: tuple[Decision, ...]
    rankings: tuple[Ranking, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Picks:
    """How often the first place alone is a chosen response, over the sets that were ranked as a whole.

    ``low`` and ``high`` are Wilson's 95 % interval; ``shared`` is the share of ranked sets whose first place is shared, which are
    not right; ``chance`` is what a random pick gets, ``longer`` what the longest response gets; ``coverage`` the share of
    comparisons that were decided.
    """

    n: int
    ranked: int
    accuracy: float | None
    low: float | None
    high: float | None
    shared: float | None
    chance: float
    longer: float
    coverage: float


def work(items: Sequence[Item], scheme: Tournament | None = None) -> int:
    """How many comparisons a benchmark takes, each in as many orders and votes as the judge is asked for."""
    sets = [item.responses for item in items if isinstance(item, Choice)]
    return sum(isinstance(item, Pair) for item in items) + comparisons_of(sets, scheme or RoundRobin())


def longest_pairs(items: Sequence[Item]) -> list[Comparison]:
    """Of each item the comparison that takes the most room in a prompt, to be checked against a model's context first."""
    return [item.comparison if isinstance(item, Pair) else longest(item.responses) for item in items]


def answer(
    items: Sequence[Item],
    judge: PreferenceModel,
    *,
    scheme: Tournament | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Answered:
    """Ask a judge all of a benchmark.

    Args:
        items: of a ``LoadedBenchmark``.
        judge: any preference model; one with a journal keeps its answers as they arrive.
        scheme: which pairs of a set are compared; default: all.
        seed: for the votes and random draws.
        progress: called with (comparisons done, comparisons expected).
    """
    pairs = [item.comparison for item in items if isinstance(item, Pair)]
    sets = [item.responses for item in items if isinstance(item, Choice)]
    total = work(items, scheme)

    def told(finished: int, _: int, before: int = 0) -> None:
        if progress:
            progress(before + finished, total)

    seconds, decided = evaluating.stopwatch(len(pairs))
    decisions = compare_with(judge, pairs, seed=seed, progress=told, on_decision=decided) if pairs else []
    rankings = (
        rank(judge, sets, scheme, seed=seed, progress=lambda done, _: told(done, total, len(pairs))) if sets else []
    )
    weights = judge.template.readings if isinstance(judge, Judge) else BOTH
    of_pairs, of_sets = iter(decisions), iter(rankings)
    answers = [
        verdict_of(next(of_pairs), weights) if isinstance(item, Pair) else placing_of(next(of_sets), item.size)
        for item in items
    ]
    return Answered(tuple(answers), tuple(decisions), tuple(rankings), tuple(seconds))


def placing_of(ranking: Ranking, size: int) -> Placing:
    """A ranking as the places of its responses in their own order."""
    places = {place.index: place for place in ranking.places}
    games = tuple((match.first, match.second, match.result) for match in ranking.matches)
    order = range(size)
    return Placing(tuple(places[i].rank for i in order), tuple(places[i].score for i in order), games)


def accuracy_of(items: Sequence[Item], answered: Answered, seed: int = 0) -> Accuracy | None:
    """Our columns for the pairs that have a label: accuracy with interval, coverage, order flips; None if there are none."""
    pairs = [item for item in items if isinstance(item, Pair)]
    known: list[tuple[LabeledComparison, Decision]] = [
        (item.labeled, decision)
        for item, decision in zip(pairs, answered.decisions, strict=True)
        if item.labeled is not None
    ]
    return evaluate([item for item, _ in known], [decision for _, decision in known], seed) if known else None


def picks_of(items: Sequence[Item], answered: Answered) -> Picks | None:
    """Our columns for the sets of responses; None if there are none."""
    choices = [
        (item, given)
        for item, given in zip(items, answered.answers, strict=True)
        if isinstance(item, Choice) and isinstance(given, Placing)
    ]
    if not choices:
        return None
    ranked = [(item, tops) for item, given in choices if (tops := given.tops) is not None]
    hits = sum(len(tops) == 1 and tops <= item.chosen for item, tops in ranked)
    interval = wilson(hits, len(ranked)) if ranked else None
    games = [result for _, given in choices for _, _, result in given.games]
    return Picks(
        n=len(choices),
        ranked=len(ranked),
        accuracy=hits / len(ranked) if ranked else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        shared=fmean(len(tops) > 1 for _, tops in ranked) if ranked else None,
        chance=fmean(len(item.chosen) / item.size for item, _ in choices),
        longer=fmean(_longest_is_chosen(item) for item, _ in choices),
        coverage=fmean(result is not None for result in games) if games else 1.0,
    )


def _longest_is_chosen(item: Choice) -> bool:
    lengths = [len(text) for text in item.responses.responses]
    longest = [i for i, length in enumerate(lengths) if length == max(lengths)]
    return len(longest) == 1 and longest[0] in item.chosen


def report(loaded: LoadedBenchmark, answered: Answered, seed: int = 0) -> dict[str, Any]:
    """All of it as JSON: what was read, our columns, and the official score under each policy.

    The first keys are those that ``gramr2 eval --json`` prints for any file; for a benchmark of sets they are about its first
    places.
    ``official`` has the values under the public policy, with a 95 % interval of ``overall``; ``policies`` has those under each.
    """
    accuracy, picks = accuracy_of(loaded.items, answered, seed), picks_of(loaded.items, answered)
    scores = loaded.benchmark.scores(loaded.items, answered.answers)
    public = scores[loaded.benchmark.policy]
    interval = interval_of(loaded.benchmark, loaded.items, answered.answers, seed=seed)
    head: dict[str, Any] = dict.fromkeys(("n", "accuracy", "low", "high", "order_flip_rate", "coverage"))
    if accuracy is not None:
        head = accuracy.headline()
    elif picks is not None:
        head |= {key: value for key, value in asdict(picks).items() if key in head}
    else:
        head |= {"n": public.n, "coverage": public.coverage}
    return {
        "benchmark": loaded.benchmark.name,
        "version": loaded.version,
        **head,
        "digest": loaded.digest,
        "items": len(loaded.items),
        "of": loaded.total,
        "missing": list(loaded.missing),
        "metric": loaded.benchmark.metric,
        "policy": loaded.benchmark.policy.value,
        "official": public.values,
        "official_low": interval.low if interval else None,
        "official_high": interval.high if interval else None,
        "policies": {policy.value: score.values for policy, score in scores.items()},
        "official_coverage": public.coverage,
        "official_ties": public.ties,
        "untold": public.untold,
        "pairs": None if accuracy is None else asdict(accuracy),
        "longer_response_accuracy": length_baseline(loaded.labeled) if loaded.labeled else None,
        "sets": None if picks is None else asdict(picks),
    }


def summarised(
    loaded: LoadedBenchmark, asked: Asked, judge: PreferenceModel, answered: Answered
) -> tuple[Summary, list[Line], list[RankedSet]]:
    """An evaluation's summary, the lines of its labelled pairs, and one for each set of responses.

    Args:
        asked: with the labelled pairs as its items.
        judge: that answered, without a journal.
    """
    known = [
        (decision, seconds)
        for item, decision, seconds in zip(loaded.pairs, answered.decisions, answered.seconds, strict=True)
        if item.labeled is not None
    ]
    decisions, seconds = [decision for decision, _ in known], [each for _, each in known]
    summary, lines = evaluating.summarised(asked, judge, evaluating.Evaluated(decisions, seconds))
    credits = loaded.benchmark.credits(loaded.items, answered.answers, loaded.benchmark.policy)
    counted = iter(
        each
        for item, each in zip(loaded.items, credits, strict=True)
        if isinstance(item, Pair) and item.labeled is not None
    )
    lines = [line.model_copy(update={"credit": next(counted)}) for line in lines]
    told = report(loaded, answered, asked.seed)
    # A pair without a label has no line, and its votes cost as much.
    votes = [vote for decision in answered.decisions for vote in decision.judgments]
    update = {
        "official": told,
        "prompt_tokens": sum(each.prompt_tokens for each in votes)
        + sum(each.prompt_tokens for each in answered.rankings),
        "completion_tokens": sum(each.completion_tokens for each in votes)
        + sum(each.completion_tokens for each in answered.rankings),
    }
    return summary.model_copy(update=update), lines, ranked_sets(loaded, answered)


def ranked_sets(loaded: LoadedBenchmark, answered: Answered) -> list[RankedSet]:
    """A line for each set of responses, in their order."""
    credits = loaded.benchmark.credits(loaded.items, answered.answers, loaded.benchmark.policy)
    rankings = iter(answered.rankings)
    found = []
    for item, given, credit in zip(loaded.items, answered.answers, credits, strict=True):
        if isinstance(item, Choice) and isinstance(given, Placing):
            ranking = next(rankings)
            found.append(
                RankedSet(
                    id=encodable(item.id),
                    prompt=encodable(prompt_row(item.responses.prompt)),
                    responses=tuple(map(encodable, item.responses.responses)),
                    chosen=tuple(sorted(item.chosen)),
                    category=encodable(item.category),
                    group=encodable(item.group),
                    ranks=given.ranks,
                    scores=given.scores,
                    games=given.games,
                    score=credit,
                    prompt_tokens=ranking.prompt_tokens,
                    completion_tokens=ranking.completion_tokens,
                )
            )
    return found
