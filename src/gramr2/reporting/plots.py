"""The report's figures as inline SVG: the same bytes for the same data, legible on light and dark."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import fmean, median
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gramr2.evaluation.reliability import Bin
from gramr2.hashing import text_hash

# The colour-blind-safe palette of Okabe and Ito (2008).
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
_LINES = list(zip((BLUE, ORANGE, GREEN, "#d55e00", "#cc79a7", "#56b4e9"), "os^Dvx", strict=True))
Point = tuple[int, float, float | None, float | None]
"""x, and a share in [0, 1] with its interval, if it has one"""
# Placeholder for the page's own text colour, which a figure cannot know.
_INK = "#010203"
_DIGITS = ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gramr2",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}


def accuracy(
    names: Sequence[str],
    values: Sequence[tuple[float, float, float] | None],
    accepted: Sequence[bool],
    longer: float | None = None,
    ylabel: str = "gold accuracy, %",
    title: str = "Gold accuracy by round",
    page: str | None = None,
) -> str:
    """Accuracy per judge with its 95 % interval; a judge that was not accepted is drawn hollow.

    Args:
        values: (accuracy, low, high) in [0, 1], or None where nothing was decided.
        longer: accuracy of always choosing the longer response, drawn as a line.
        page: colour of the paper, for a figure that is a file of its own; without it the figure takes the colours around it.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7, 3), layout="constrained")
        axes = figure.subplots()
        for x, (value, stands) in enumerate(zip(values, accepted, strict=True)):
            if value is not None:
                middle, low, high = (100 * v for v in value)
                axes.errorbar(
                    x,
                    middle,
                    [[max(middle - low, 0)], [max(high - middle, 0)]],
                    fmt="o",
                    color=BLUE,
                    mfc=BLUE if stands else "none",
                    capsize=4,
                )
        if longer is not None:
            axes.axhline(100 * longer, linestyle="--", linewidth=1, color=_INK, label="always the longer response")
            # Above the axes: inside, it would cover the points of a judge that is nearly always right.
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(0, 100)
        axes.set_ylabel(ylabel)
        return _svg(figure, f"{title}, with 95 % intervals", page)


def histogram(kept: Sequence[float], dropped: Sequence[float], label: str, title: str) -> str:
    """Histogram of a value in [0, 1], for kept and dropped comparisons."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 2.4), layout="constrained")
        axes = figure.subplots()
        bins = [i / 20 for i in range(21)]
        axes.hist([kept, dropped], bins=bins, stacked=True, color=[GREEN, ORANGE], label=["kept", "dropped"])
        axes.set_xlim(0, 1)
        axes.set_xlabel(label)
        axes.set_ylabel("comparisons")
        axes.legend()
        return _svg(figure, f"{title}: histogram of {label}, kept and dropped")


def reliability(bins: Sequence[Bin], title: str) -> str:
    """Accuracy against confidence, with Wilson intervals; the dashed line is perfect calibration."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.6, 3.4), layout="constrained")
        axes: Axes = figure.subplots()
        axes.plot([0, 1], [0, 1], linestyle="--", linewidth=1, color=_INK)
        for each in bins:
            axes.errorbar(
                each.confidence,
                each.accuracy,
                [[max(each.accuracy - each.low, 0)], [max(each.high - each.accuracy, 0)]],
                fmt="o",
                color=BLUE,
                capsize=3,
                clip_on=False,
            )
            axes.annotate(f"{each.n}", (each.confidence, each.accuracy), xytext=(5, 4), textcoords="offset points")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("confidence")
        axes.set_ylabel("accuracy")
        return _svg(figure, f"Reliability of {title}: accuracy by confidence, with the number of comparisons")


def forest(rows: Sequence[tuple[str, float, float | None, float | None]], label: str, zero: bool = False) -> str:
    """One line per row: a value with its interval, from top to bottom; shares are drawn in percent.

    Args:
        rows: (name, value, low, high) in units of 1; the interval may be missing.
        zero: draw a line at zero.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 1 + 0.28 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for y, (_, value, low, high) in enumerate(rows):
            bars = None if low is None or high is None else [[100 * (value - low)], [100 * (high - value)]]
            axes.errorbar(100 * value, y, xerr=bars, fmt="o", color=BLUE, capsize=3)
        if zero:
            axes.axvline(0, linestyle="--", linewidth=1, color=_INK)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(label)
        return _svg(figure, f"{label}, by configuration, with 95 % intervals")


def beside(names: Sequence[str], values: Mapping[str, Sequence[tuple[float, float, float] | None]], label: str) -> str:
    """Several values per name, from top to bottom: the first with its interval, the others as marks. White, as ``sweep``.

    Args:
        values: per series, (value, low, high) in [0, 1] for each name; None where there is none.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 1.2 + 0.28 * len(names)), layout="constrained")
        axes = figure.subplots()
        looks = zip(values.items(), (BLUE, ORANGE, GREEN), ("o", "s", "D"), strict=False)
        for place, ((name, several), color, mark) in enumerate(looks):
            found = [(y, *(100 * v for v in each)) for y, each in enumerate(several) if each is not None]
            xs, ys = [x for _, x, _, _ in found], [y for y, *_ in found]
            bars = [[x - low for _, x, low, _ in found], [high - x for _, x, _, high in found]]
            axes.errorbar(
                xs, ys, xerr=None if place else bars, fmt=mark, color=color, mfc="none" if place else color, label=name
            )
        axes.axvline(50, linestyle="--", linewidth=1, color=_INK)
        axes.set_yticks(range(len(names)), list(names))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(label)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(values), borderaxespad=0.2)
        return _svg(figure, f"{label}, with 95 % intervals", page="white")


def curves(runs: Mapping[str, Sequence[Sequence[float]]], xlabel: str, ylabel: str, window: int = 5) -> str:
    """Shares in [0, 1] by step: a thin line per run, and a thick one for the mean of each name's runs. White, as ``sweep``.

    Args:
        window: number of steps in the moving mean that is drawn; single steps are noisy.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7, 3.4), layout="constrained")
        axes = figure.subplots()
        for (name, several), color in zip(runs.items(), (BLUE, ORANGE, GREEN, _INK), strict=False):
            smooth = [[100 * fmean(run[max(0, i - window + 1) : i + 1]) for i in range(len(run))] for run in several]
            for run in smooth:
                axes.plot(range(1, len(run) + 1), run, color=color, linewidth=0.6, alpha=0.5)
            middle = [fmean(values) for values in zip(*smooth, strict=False)]
            axes.plot(range(1, len(middle) + 1), middle, color=color, linewidth=2, label=name)
        axes.set_ylim(0, 100)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        _legend_above(axes, len(runs))
        return _svg(figure, f"{ylabel} by {xlabel}", page="white")


def sweep(panels: Mapping[str, Mapping[str, Sequence[Point]]], ylabel: str) -> str:
    """A panel per varied quantity with a line per name, as a page of its own: white, whatever is around it.

    Args:
        panels: for each x axis, by its label, the points of every name; x is logarithmic, and includes zero if there is one.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(1 + 4.6 * len(panels), 3.8), layout="constrained")
        names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
        row = np.ravel(figure.subplots(1, len(panels), sharey=True))
        for axes, (xlabel, lines) in zip(row, panels.items(), strict=True):
            for name, points in lines.items():
                color, marker = _LINES[names.index(name) % len(_LINES)]
                x, middle, low, high = np.array(points, dtype=float).T
                bars = np.nan_to_num(np.clip([middle - low, high - middle], 0, None))
                x *= 1.015 ** names.index(name)  # shifted, so that intervals do not hide each other
                axes.errorbar(x, 100 * middle, 100 * bars, fmt=f"{marker}-", color=color, capsize=3, label=name)
            xs = sorted({x for points in lines.values() for x, *_ in points})
            threshold = next((x for x in xs if x > 0), 1)
            axes.set_xscale("symlog", linthresh=threshold, linscale=0.5) if xs[0] == 0 else axes.set_xscale("log")
            ticks = [x for last, x in zip([-1, *xs], xs, strict=False) if x > 1.15 * last]
            axes.set_xticks(ticks, [f"{x:,}" for x in ticks])
            axes.set_xticks([], minor=True)
            axes.set_xlabel(xlabel)
            axes.set_ylabel(ylabel)
            _legend_above(axes, min(3, len(lines)))
        return _svg(figure, f"{ylabel}, by {' and by '.join(panels)}", page="white")


def repeats(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """A panel per quantity, logarithmic: a row per name, a mark per repeat, a line at their median. White, as ``sweep``.

    Args:
        panels: for each quantity, by its label with the unit, the positive values of every name, from top to bottom.
    """
    with mpl.rc_context(_STYLE):
        longest = max(map(len, panels.values()))
        figure = Figure(figsize=(8, 0.9 + 0.3 * longest), layout="constrained")
        for axes, (label, rows) in zip(np.ravel(figure.subplots(1, len(panels))), panels.items(), strict=True):
            for y, values in enumerate(rows.values()):
                axes.plot(values, [y] * len(values), "o", color=BLUE, mfc="none")
                axes.vlines(median(values), y - 0.35, y + 0.35, color=BLUE, linewidth=2)
            axes.set_xscale("log")
            axes.set_yticks(range(len(rows)), list(rows))
            axes.set_ylim(len(rows) - 0.5, -0.5)
            _plain_ticks(axes, "x")
            axes.set_xlabel(label)
        return _svg(figure, ", ".join(panels), page="white")


def growth(panels: Mapping[tuple[str, str], Mapping[str, Sequence[tuple[float, float]]]]) -> str:
    """A panel per pair of quantities, (x label, y label), both logarithmic, with a line per name. White, as ``sweep``."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 3), layout="constrained")
        for axes, ((xlabel, ylabel), lines) in zip(
            np.ravel(figure.subplots(1, len(panels))), panels.items(), strict=True
        ):
            for (name, points), (color, marker) in zip(lines.items(), cycle(_LINES), strict=False):
                axes.plot(*zip(*points, strict=True), f"{marker}-", color=color, label=name)
            axes.set_xscale("log")
            axes.set_yscale("log")
            xs = sorted({x for points in lines.values() for x, _ in points})
            axes.set_xticks(xs, [*map(_number, xs)])
            axes.set_xticks([], minor=True)
            _plain_ticks(axes, "y")
            axes.set_xlabel(xlabel)
            axes.set_ylabel(ylabel)
            _legend_above(axes, min(2, len(lines)))
        return _svg(figure, ", ".join(f"{y} by {x}" for x, y in panels), page="white")


def _plain_ticks(axes: Axes, side: Literal["x", "y"]) -> None:
    """A logarithmic axis with numbers as they are read, at 1, 2 and 5 of each power of ten, or all digits where those are few."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    coarse, fine = ([m * 10.0**k for k in powers for m in each if low <= m * 10.0**k <= high] for each in _DIGITS)
    axis.set_ticks(ticks := coarse if len(coarse) > 2 else fine, [*map(_number, ticks)])
    axis.set_ticks([], minor=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _legend_above(axes: Axes, columns: int) -> None:
    """Inside the axes a legend would cover lines and intervals."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=9, borderaxespad=0.2)


def _svg(figure: Figure, title: str, page: str | None = None) -> str:
    buffer = io.StringIO()
    paper: dict[str, Any] = {"facecolor": page} if page else {"transparent": True}
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, **paper)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "#1a1a1a" if page else "currentColor")
    text = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg height="[^"]*"', r"<svg \1", text, count=1)
    # Several figures share a page, and matplotlib gives each the same ids.
    own = text_hash(title + text, 4)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\1f{own}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
