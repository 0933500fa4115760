"""What ``gramr2 check --cost`` shows: a line for each stage of the run, and a sentence of sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box

from gramr2.cli.console import Bars, Grid, say, set_up_logging, show
from gramr2.config import RunConfig
from gramr2.text import counted, duration

if TYPE_CHECKING:
    from gramr2.selftraining.cost.estimate import Estimate
    from gramr2.selftraining.run.data import RunData


def price(config: RunConfig, data: RunData, kept: float | None, quiet: bool) -> Estimate:
    """The cost of a run, with a line on stderr for each thing that the probe measures."""
    set_up_logging(quiet=True)
    from gramr2.selftraining.cost.parts import Assumptions
    from gramr2.selftraining.cost.price import cost_of

    bars = Bars(quiet)
    return cost_of(config, data, Assumptions(kept=kept), note=lambda text: bars.note(f"probe: {text}"))


def show_cost(config: RunConfig, found: Estimate) -> None:
    """A row for each stage that needs a model, with tokens of prompts, tokens written and tokens trained on, and the sums."""
    grid = Grid(title="What the run will cost", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("stage", "prompt", "written", "trained", "FLOP", "time"):
        grid.add_column(name, justify="left" if name == "stage" else "right", no_wrap=name != "stage")
    for each in found.expected:
        stage = each.stage
        counts = (stage.prompt_tokens, stage.generated_tokens, stage.trained_tokens, each.flops)
        grid.add_row(
            stage.name.replace(" comparisons", ""),
            *map(_or_dash, counts),
            "–" if each.seconds is None else duration(each.seconds),
        )
    show(grid)
    say(_sum(found))
    for told in _notes(config, found):
        say(told)


def _or_dash(value: float | None) -> str:
    return counted(value) if value else "–"


def _sum(found: Estimate) -> str:
    total, most = found.total(), found.total(most=True)
    parts = [
        f"{counted(total['requests'])} requests with {counted(total['prompt_tokens'])} prompt tokens",
        _at_most("{} tokens written", total["generated_tokens"], most["generated_tokens"]),
        _at_most("{} tokens trained", total["trained_tokens"], most["trained_tokens"]),
    ]
    if total["flops"] is not None:
        parts.append(_at_most("{}FLOP", total["flops"], most["flops"]))
    if found.memory:
        parts.append(f"{counted(found.memory['peak'])}B of memory")
    parts.append(
        f"{counted(total['disk_bytes'])}B of disk, and {counted(found.disk_between)}B while a model is trained"
    )
    time = "no time known"
    if total["seconds"] is not None:
        time = f"about {duration(total['seconds'])} (at most {duration(most['seconds'])})"
    return f"Total: {time}; {', '.join(parts)}."


def _at_most(form: str, value: float, most: float) -> str:
    told = form.format(counted(value))
    return told if round(value) == round(most) else f"{told} (at most {counted(most)})"


def _notes(config: RunConfig, found: Estimate) -> list[str]:
    """What the figures rest on."""
    from gramr2.selftraining.cost.sizes import SAMPLE

    told = [
        f"Tokens are those of the run's data, of at most {SAMPLE} comparisons of each part; what a round keeps and how long "
        "rationales become is assumed (--kept; the mean of the seed's rationales, else the budget)."
    ]
    rates = found.rates
    if rates is None:
        told.append(
            f"{config.model.name} is behind an API: tokens are estimated from characters, nothing is probed, and gramr2 train "
            "cannot train it."
        )
        return told
    parts = [f"{rates.prefill:,.0f} prompt", f"{rates.training:,.0f} trained"]
    parts += [f"{rates.decode:,.0f} generated"] if rates.decode else []
    told.append(
        f"Measured here in {rates.seconds:.0f} s: {', '.join(parts)} tokens a second, {counted(rates.memory)}B of memory "
        f"({rates.machine}). What runs beside it slows both."
    )
    if config.judge.mode == "reason" and config.judge.verdict == "auto" and config.training.verdict.weight:
        told.append("judge.verdict: auto is reckoned as both readings, the most expensive that it may choose.")
    return told
