"""The points of ``label_curves.py``: variants of an ablation with other limits on their labels or unlabelled comparisons.

A point at the run file's own sizes is the ablation's own variant, so an ablation of the same file has its cells already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.data import SourceConfig
from gramr2.data import OnBadRow, overlap, subset
from gramr2.errors import ConfigError
from gramr2.research.ablation.variants import FULL, SEED_ONLY, Kind, Raw, Variant, prepare, variants_for
from gramr2.selftraining.run.sources import read_labeled, read_unlabeled


class Curve(StrEnum):
    """What is varied."""

    LABELS = "labels"
    UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class Point:
    """A place on a curve: ``name`` is the configuration that it belongs to, ``variant`` what its cells run."""

    curve: Curve
    x: int
    name: str
    variant: Variant


@dataclass(frozen=True, slots=True)
class Settled:
    """What a point's cell runs with one seed: its config, None where there is none, and what it learns from."""

    config: Raw | None
    labels: int = 0
    unlabelled: int = 0


class Points:
    """Makes the points of one run file.

    Attributes:
        labels: labelled comparisons of the run as written.
        unlabelled: those of its pool that are not among the labelled, with the first seed.
        all_labels: labelled comparisons that its sources have.
    """

    def __init__(self, base: RunConfig) -> None:
        self._base = base
        self._policy = OnBadRow(base.data.on_bad_row)
        self._variants = {each.name: each for each in variants_for(base)}
        self._settled: dict[tuple[str, int], Settled] = {}
        self._read: dict[tuple[str, bool], tuple[Comparison, ...]] = {}
        raw = base.model_dump(mode="json") | {"seed": 1}
        self.labels, self.unlabelled = self.sizes(raw)
        self.all_labels = sum(len(self._rows(each, labelled=True)) for each in raw["data"]["seed"])

    def point(self, curve: Curve, x: int, name: str) -> Point:
        """The place at ``x`` labels, or ``x`` unlabelled comparisons, of a configuration.

        Raises:
            ConfigError: there is no such configuration.
        """
        if name not in self._variants:
            raise ConfigError(f"--variants {name!r} is not known: take some of {', '.join(self._variants)}")
        variant = self._variants[name]
        if x == (self.labels if curve is Curve.LABELS else self.unlabelled):
            return Point(curve, x, name, variant)
        if curve is Curve.UNLABELLED and x == 0 and name == FULL and not (self._base.warmup or self._base.final):
            return Point(curve, x, name, self._variants[SEED_ONLY])
        resize = self._with_labels(x) if curve is Curve.LABELS else self._with_unlabelled(x)

        def change(raw: Raw) -> str | None:
            reason = resize(raw) or variant.change(raw)
            if reason is None and not raw["data"]["pool"] and (raw["rounds"] or raw["warmup"]):
                return "no unlabelled comparison is left"
            return reason

        baseline = name if variant.kind is Kind.BASELINE else None
        renamed = replace(variant, name=f"{name}-{curve}-{x}", change=change, baseline=baseline)
        return Point(curve, x, name, renamed)

    def of_cell(self, cell: str) -> list[Point]:
        """The places that a cell's variant stands for, by its name: none, one, or one on each curve."""
        named = re.fullmatch(r"(.+)-(labels|unlabelled)-(\d+)", cell)
        if named:
            places = [(Curve(named[2]), int(named[3]), named[1])]
        else:
            places = [(Curve.LABELS, self.labels, cell), *((Curve.UNLABELLED, x, FULL) for x in (0, self.unlabelled))]
        found = [self.point(*place) for place in dict.fromkeys(places) if place[2] in self._variants]
        return [each for each in found if each.variant.name == cell]

    def settled(self, point: Point, seed: int) -> Settled:
        """A point with one seed; found out once."""
        key = (point.variant.name, seed)
        if key not in self._settled:
            prepared = prepare(self._base, point.variant, seed)
            raw = None if isinstance(prepared, str) else prepared.config.model_dump(mode="json")
            labels, unlabelled = self.sizes(raw) if raw else (0, 0)
            self._settled[key] = Settled(raw, labels, unlabelled if raw and (raw["rounds"] or raw["warmup"]) else 0)
        return self._settled[key]

    def sizes(self, raw: Raw) -> tuple[int, int]:
        """How many labels a run has, and how many unlabelled comparisons that are not among those, as its seed draws them."""
        labelled = self._labelled(raw)
        return len(labelled), sum(self._fresh(each, labelled, raw["seed"]) for each in raw["data"]["pool"])

    def _with_labels(self, total: int) -> Callable[[Raw], str | None]:
        """Other labels, and of each limited source of the pool as many that are not labelled as before, where there are."""

        def change(raw: Raw) -> str | None:
            data, seed = raw["data"], raw["seed"]
            if total > self.all_labels:
                return f"only {self.all_labels} labelled comparisons are there"
            before = self._labelled(raw)
            fresh = [self._fresh(each, before, seed) for each in data["pool"]]
            there = [len(self._rows(each, labelled=True)) for each in data["seed"]]
            data["seed"] = _limited(data["seed"], spread(total, there))
            after = self._labelled(raw)
            limits = [
                None if each["limit"] is None else self._limit(each, wanted, after, seed)
                for each, wanted in zip(data["pool"], fresh, strict=True)
            ]
            data["pool"] = _limited(data["pool"], limits)
            return None

        return change

    def _with_unlabelled(self, total: int) -> Callable[[Raw], str | None]:
        """So many of the pool that are not labelled, from each source in proportion to what it has of them."""

        def change(raw: Raw) -> str | None:
            data, seed, labelled = raw["data"], raw["seed"], self._labelled(raw)
            if total == 0:
                raw["rounds"], raw["warmup"] = 0, None
                return None
            there = [self._fresh(each | {"limit": None}, labelled, seed) for each in data["pool"]]
            if total > sum(there):
                return f"only {sum(there)} unlabelled comparisons are there"
            counts = spread(total, there)
            limits = [self._limit(each, n, labelled, seed) for each, n in zip(data["pool"], counts, strict=True)]
            data["pool"] = _limited(data["pool"], limits)
            return None

        return change

    def _limit(self, source: Mapping[str, Any], fresh: int, labelled: Sequence[Comparison], seed: int) -> int:
        """The smallest limit at which the source gives ``fresh`` comparisons that are not labelled, or all that it has."""
        fresh = min(fresh, self._fresh({**source, "limit": None}, labelled, seed))
        limit = fresh
        # Larger draws contain the smaller ones, so that this climbs to the answer and never over it.
        while (short := fresh - self._fresh({**source, "limit": limit}, labelled, seed)) > 0:
            limit += short
        return limit

    def _fresh(self, source: Mapping[str, Any], labelled: Sequence[Comparison], seed: int) -> int:
        drawn = self._drawn(source, seed, labelled=False)
        return len(drawn) - len({name for _, name in overlap(labelled, drawn)})

    def _labelled(self, raw: Raw) -> list[Comparison]:
        return [each for source in raw["data"]["seed"] for each in self._drawn(source, raw["seed"], labelled=True)]

    def _drawn(self, source: Mapping[str, Any], seed: int, *, labelled: bool) -> Sequence[Comparison]:
        rows, limit = self._rows(source, labelled=labelled), source["limit"]
        return rows if limit is None else subset(rows, limit, seed)

    def _rows(self, source: Mapping[str, Any], *, labelled: bool) -> tuple[Comparison, ...]:
        """All that a source has, whatever its limit; read once."""
        whole = SourceConfig.model_validate({**source, "limit": None})
        key = (whole.model_dump_json(), labelled)
        if key not in self._read:
            read = read_labeled(whole, self._policy)[0] if labelled else read_unlabeled(whole, self._policy)[0]
            self._read[key] = tuple(each.comparison if isinstance(each, LabeledComparison) else each for each in read)
        return self._read[key]


def spread(total: int, available: Sequence[int]) -> list[int]:
    """``total`` in parts proportional to ``available``, which is not exceeded anywhere: largest remainders get what is left."""
    whole = max(sum(available), 1)
    parts = [total * each // whole for each in available]
    by_remainder = sorted(range(len(available)), key=lambda i: (-(total * available[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def _limited(sources: Sequence[Raw], limits: Sequence[int | None]) -> list[Raw]:
    """The sources with other limits, without those that give nothing any more."""
    return [each | {"limit": limit} for each, limit in zip(sources, limits, strict=True) if limit != 0]
