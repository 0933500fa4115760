"""A run file for the data that a person has: read, divide, choose, write, and check what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gramr2.config import RunConfig, load_config
from gramr2.config.data import Layout
from gramr2.data.split import subset
from gramr2.errors import ConfigError, ModelError
from gramr2.evaluation.metrics import length_baseline
from gramr2.files import exists, write_text
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.run.data import RunData, fit_to_budget, load_data
from gramr2.selftraining.run.doubts import doubts
from gramr2.selftraining.run.observer import Observer, Silent, reading
from gramr2.starting.machine import Machine, budget
from gramr2.starting.parts import Most, Parts, divide
from gramr2.starting.seen import Source, found_in, lengths, look, names_of, told
from gramr2.starting.writing import Choices, run_file, sees
from gramr2.text import counted, duration

SMALL = "smollm2-135m"
"""the named model for text"""
LABORATORY = "lab-tiny"
ON_CPU, ON_GPU = Most(1_000, 2_000), Most(50_000, 50_000)
"""1,213 labels of TruthfulQA gave 82.3 %, 600 gave 80.5 %, 200 gave 77.7 % (docs/experiments.md)"""
PRICED = 5_000
"""comparisons whose tokens are counted for a price in seconds"""
SAMPLE = 2_000
"""comparisons whose tokens are counted"""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A run file, what was said of the data, and the numbers of the parts; ``cost`` is None where the model is not here yet."""

    text: str
    told: tuple[str, ...]
    parts: Parts
    model: str
    cost: dict[str, Any] | None


def propose(
    paths: Sequence[str],
    out: Path,
    machine: Machine,
    *,
    layout: Layout | None = None,
    gold: Sequence[str] = (),
    model: str | None = None,
    force: bool = False,
    observer: Observer | None = None,
) -> Proposal:
    """Write a run file for these data.

    Args:
        paths: labelled or unlabelled sources.
        out: the file to write.
        layout: which columns are what, in all of them.
        gold: labelled sources that measure; by default a part of the labelled ones.
        model: the model to train; by default one that needs no hub.
        force: overwrite the file.
        observer: told what is done next, and how far a large file is read.

    Raises:
        ConfigError: the file exists, or the model cannot be a name.
        DataError: a source cannot be read, there are no labels, too few to divide, or gold is also learnt from.
    """
    if exists(out) and not force:
        raise ConfigError(f"{out} exists: give another name with --out, or --force to write over it")
    if model is not None:
        from gramr2.backends.registry import is_here

        is_here(model)
    observer = observer or Silent()
    plain = layout or Layout()
    names = names_of([*paths, *gold])
    read = [_read(path, plain, name, observer) for path, name in zip((*paths, *gold), names, strict=True)]
    sources, measuring = read[: len(paths)], read[len(paths) :]
    parts = divide(sources, measuring, ON_CPU if machine.gpu is None else ON_GPU)
    chosen, why = _model(model, sources, machine)
    observer.note(f"count tokens with {chosen}")
    choices = Choices(
        chosen,
        why,
        (*map(told, (*sources, *measuring)), *found_in(parts.learnt), *_sizes(parts, chosen), *parts.why),
        any(doubts(items)["repeated"] for items in (parts.learnt, parts.measured)),
        0,
        sum(item.rationale is not None for item in parts.learnt),
    )
    observer.note("check the run file")
    text, overlong, cost = _written(
        lambda overlong: run_file(parts, replace(choices, overlong=overlong), machine, out), out
    )
    told_all = [*choices.told, f"gold: {sees(parts.measured)}"]
    if overlong:
        told_all.append(f"{overlong} comparisons do not fit {chosen} and are dropped: text is never cut")
    if cost is not None:
        told_all.append(_price(cost))
    return Proposal(text, tuple(told_all), parts, chosen, cost)


def _read(path: str, layout: Layout, name: str, observer: Observer) -> Source:
    observer.note(f"read {path}")
    with reading(observer):
        return look(path, layout, name)


def _model(asked: str | None, sources: Sequence[Source], machine: Machine) -> tuple[str, str]:
    """The model, and why."""
    if asked is not None:
        return asked, "The model that was asked for."
    if all(each.path.startswith("lab:") for each in sources):
        return LABORATORY, "The laboratory's own model; gramr2 lab config prints the run file that is made for it."
    where = (
        f"a processor with {machine.free / 1e9:.0f} GB of free memory"
        if machine.gpu is None
        else f"a GPU with {machine.gpu / 1e9:.0f} GB, which has room for more"
    )
    return SMALL, f"SmolLM2-135M-Instruct comes from the package index, needs no hub, and trains on {where}."


def _sizes(parts: Parts, model: str) -> list[str]:
    """Sentences on lengths and on what a guess reaches."""
    room = budget(model)
    items = [item.comparison for item in (*parts.learnt, *parts.measured)] + [*parts.unlabelled]
    drawn = subset(items, SAMPLE, 1)
    middle, high, most = lengths(drawn, room.count)
    about = "about " if room.most is None else ""
    said = f"a comparison is {about}{middle} tokens long (median; 95 %: {high}, the longest {most})"
    if room.most is not None and most > room.most:
        said += f", and {model} takes {room.most}"
    longer = f"always choosing the longer response is right on {100 * length_baseline(parts.measured):.1f} % of gold"
    return [said, longer]


def _written(text_for: Callable[[int], str], out: Path) -> tuple[str, int, dict[str, Any] | None]:
    """Write the file if a run can start from it: its text, what does not fit, and what it would cost, if its model is here.

    Args:
        text_for: the text for so many comparisons that do not fit the model.
        out: the file.

    Raises:
        ConfigError, DataError: it cannot; nothing is written then.
    """
    scratch = out.with_name(f".{out.name}.tmp")
    text = text_for(0)
    write_text(scratch, text)
    try:
        config = load_config(scratch)
        data = load_data(config)
        overlong = _overlong(config, data)
        if overlong:
            text = text_for(overlong)
            write_text(scratch, text)
            config = load_config(scratch)
        cost = _cost(config, data)
        scratch.replace(out)
    finally:
        scratch.unlink(missing_ok=True)
    return text, overlong, cost


def _overlong(config: RunConfig, data: RunData) -> int:
    """How many comparisons a run would refuse, counted as it counts them; 0 where the model's tokenizer is not here."""
    try:
        from gramr2.backends.counting import TokenizerCounter
        from gramr2.backends.registry import resolve_offline

        counter = TokenizerCounter(resolve_offline(config.model.name))
    except (ModelError, ImportError):
        return 0
    dropping = config.model_copy(update={"data": config.data.model_copy(update={"on_overlong": "drop"})})
    template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))
    found = fit_to_budget(data, dropping, template, counter).summary["overlong"]
    return sum(map(len, found.values()))


def _cost(config: RunConfig, data: RunData) -> dict[str, Any] | None:
    if len(data.seed) + len(data.pool) + len(data.gold) > PRICED:
        return None
    try:
        from gramr2.backends.hardware import choose_device, product_speed
        from gramr2.backends.registry import resolve_offline
        from gramr2.selftraining.cost.price import cost_of

        resolve_offline(config.model.name)
        found = cost_of(config, data, probed=False)
    except (ModelError, ImportError):
        return None
    speed = product_speed() if choose_device(config.model.device).type == "cpu" else None
    return found.total() | {"memory_bytes": found.memory.get("peak"), "product_speed": speed}


def _price(cost: dict[str, Any]) -> str:
    memory = f", {counted(cost['memory_bytes'])}B of memory" if cost["memory_bytes"] else ""
    time = ""
    if (speed := cost["product_speed"]) and cost["flops"]:
        time = (
            f", which take {duration(cost['flops'] / speed)} and more at the {counted(speed)}FLOP/s of a product here"
        )
    return (
        f"cost: {counted(cost['prompt_tokens'])} prompt tokens, {counted(cost['trained_tokens'])} trained tokens, "
        f"{counted(cost['flops'])}FLOP{time}{memory}, {counted(cost['disk_bytes'])}B of disk; gramr2 check --cost "
        "measures the time"
    )
