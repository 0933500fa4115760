"""The flags shared by the commands that ask a judge, and how the commands open a model with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramr2.backends.journaled import JournaledBackend
from gramr2.cli.console import Bars
from gramr2.cli.flags import replacing
from gramr2.comparison import Comparison
from gramr2.errors import ConfigError, NoVerdictError
from gramr2.files import exists
from gramr2.journal import Journal
from gramr2.judging.budget import Overlong, overlong
from gramr2.judging.judge import Judge, Orders
from gramr2.judging.options import APPLY, BackendKind, Dtype, EngineKind, Kind, Verdict
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.prompts import prompts
from gramr2.judging.scalar import ScalarJudge
from gramr2.judging.template import JudgeMode
from gramr2.loading import JudgeOptions, generative_judge, is_baseline, is_server, kind_of, preference_model

if TYPE_CHECKING:
    from gramr2.evaluation.evaluating import Asked
    from gramr2.evaluation.log import Item, Summary
    from gramr2.evaluation.ranked import RankedSet

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="Run or model folder, LoRA adapter, hub id, .gguf, named or scripted model, openai:NAME@URL, a server's address; "
        "a scalar reward model's folder or hub id; or a baseline: longer, or NAME:RUN.",
    ),
]
Writer = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="Run or model folder, LoRA adapter, hub id, .gguf, named or scripted model, openai:NAME@URL.",
    ),
]
Tokens = Annotated[int, typer.Option("--max-new-tokens", min=1, help="Token budget of a rationale.")]
Close = Annotated[
    bool,
    typer.Option(
        "--close/--no-close", help="Read the verdict of a rationale that used up its budget, or count it as truncated."
    ),
]
FLAGS: dict[str, Any] = {
    "votes": Annotated[
        int, typer.Option("--votes", min=1, help="Samples in each order; 1 is greedy unless --temperature is set.")
    ],
    "orders": Annotated[Orders, typer.Option("--orders", help="first: the stored order only.")],
    "temperature": Annotated[
        float | None, typer.Option("--temperature", min=0, help="Default: 0 for one vote, else 0.75.")
    ],
    "max_new_tokens": Annotated[
        int | None,
        typer.Option("--max-new-tokens", min=1, help="Token budget of a rationale; default: 256, with --prompt 1024."),
    ],
    "close": Close,
    "stop_certainty": Annotated[
        float | None,
        typer.Option("--stop-certainty", help="Stop voting once the majority is this certain, such as 0.95."),
    ],
    "direct_certainty": Annotated[
        float | None,
        typer.Option(
            "--direct-certainty",
            help="Write no rationale where the direct reading is this certain and its orders agree.",
        ),
    ],
    "mode": Annotated[JudgeMode | None, typer.Option("--mode", help="Default: what the model was trained for.")],
    "verdict": Annotated[
        Verdict | None,
        typer.Option(
            "--verdict",
            help="direct: at the prompt's end. Default: as the judge was trained; for other models, both.",
        ),
    ],
    "prompt": Annotated[
        str | None,
        typer.Option(
            "--prompt",
            help=f"Ask with a prompt of the field: {', '.join(prompts())}, FILE[#ENTRY], or a judge's FOLDER for its own.",
            autocompletion=lambda: list(prompts()),
        ),
    ],
    "backend": Annotated[BackendKind, typer.Option("--backend", help="What runs a model on this machine.")],
    "dtype": Annotated[
        Dtype, typer.Option("--dtype", help="auto: fp32 on a CPU, bf16 on a GPU; fast: bf16 on CPUs with AMX too.")
    ],
    "device": Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")],
    "second_view": Annotated[
        bool,
        typer.Option("--second-view/--no-second-view", help="Count the second view that was saved with the judge."),
    ],
    "trust_remote_code": Annotated[
        bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model.")
    ],
    "engine": Annotated[
        EngineKind,
        typer.Option(
            "--engine", help="ray: the model runs in workers, on this machine or in the cluster at $RAY_ADDRESS."
        ),
    ],
    "workers": Annotated[
        int | None,
        typer.Option("--workers", min=1, help="With --engine ray; default: one for each GPU, or for each machine."),
    ],
}


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of ``JudgeOptions`` instead of its parameter ``how``, which receives them as one object."""
    defaults = JudgeOptions()
    flags = {name: (kind, getattr(defaults, name)) for name, kind in FLAGS.items()}
    return replacing("how", flags, JudgeOptions)(command)


def open_judge(model: str, how: JudgeOptions) -> Judge:
    """A generative judge, for commands that need its prompt, its tokens or its text.

    Raises:
        ConfigError: the model is a baseline, which only decides.
        ModelError: there is no such model.
    """
    if is_baseline(model):
        raise ConfigError(
            f"{model} is a baseline, which works only with gramr2 judge, rank, eval and score --by reference: give a generative "
            "judge"
        )
    return generative_judge(model, how)


def open_served(model: str, how: JudgeOptions) -> Judge | ScalarJudge:
    """What a server can have: a generative judge or a scalar reward model. Raises as ``open_judge`` and ``open_model`` do."""
    opened = None if is_baseline(model) or is_server(model) else open_model(model, how)
    return opened if isinstance(opened, Judge | ScalarJudge) else open_judge(model, how)


def open_model(
    model: str, how: JudgeOptions, also: Collection[str] = (), *, shared: Collection[str] = ()
) -> PreferenceModel:
    """Open anything that states a preference, by its name.

    Args:
        model: what the user typed.
        how: the flags.
        also: further flags that the user gave and only a judge in this process can use.
        shared: options that also apply to another model, and that a baseline, a server or a reward model therefore ignores.

    Raises:
        ConfigError: a flag is given that means nothing to this kind of model.
        ModelError: there is no such model.
        RunError: the folder given with a baseline is not a run.
    """
    kind = kind_of(model)
    if kind is not Kind.JUDGE:
        apply, defaults = APPLY[kind], JudgeOptions()
        how = replace(how, **{name: getattr(defaults, name) for name in shared if name not in apply})
        given = [*(f"--{name.replace('_', '-')}" for name in how.given if name not in apply), *also]
        if given:
            raise ConfigError(f"{given[0]} does not apply to the {kind} {model}: leave it out")
    return preference_model(model, how)


def too_long(model: PreferenceModel, comparisons: Sequence[Comparison], bars: Bars) -> list[Overlong]:
    """The comparisons that do not fit the model; none where only another process can tell, or where nothing is too long."""
    if isinstance(model, Judge):
        pairs = bars.over("count tokens", [(each, "") for each in comparisons])
        return overlong(model.backend, model.template, pairs, new_tokens=model.sampling.max_new_tokens)
    return model.overlong(comparisons) if isinstance(model, ScalarJudge) else []


def require_free(outs: Mapping[str, Path | None], sources: Mapping[str, str | Sequence[str] | None]) -> None:
    """Refuse files to write that would destroy one another or what a command reads, also through links, before anything is asked.

    Args:
        outs: by flag, what is written.
        sources: by flag, what is read; names that are no files are passed over.

    Raises:
        ConfigError: a file to write is a folder, another one of them, or a source.
    """
    lists = {flag: [names] if isinstance(names, str) else names or () for flag, names in sources.items()}
    read = [(flag, Path(name)) for flag, names in lists.items() for name in names]
    written: dict[str, Path] = {}
    for flag, out in outs.items():
        if out is None:
            continue
        if not out.name or out.is_dir():
            raise ConfigError(f"{flag} {out} is a folder: name the file to write")
        for other, file in [*written.items(), *read]:
            if _same(out, file, written=other in written):
                raise ConfigError(f"{flag} {out} is the file of {other}, which it would overwrite: give another name")
        written[flag] = out


def _same(one: Path, other: Path, *, written: bool) -> bool:
    """Whether two names are of one file, or the first of a file in the folder of the second; those of files that are both still
    to be written, too."""
    if exists(one) and exists(other):
        return one.samefile(other) or (other.is_dir() and one.resolve().is_relative_to(other.resolve()))
    return written and one.resolve() == other.resolve()


def journal_of(out: Path) -> Path:
    """Where the answers of a command that writes ``out`` are kept until it is finished.

    Raises:
        ConfigError: ``out`` cannot be a file, which is better known before anything is asked.
    """
    if not out.name or out.is_dir():
        raise ConfigError(f"--out {out} is a folder: name the file to write")
    return out.with_name(f"{out.name}.journal")


@contextmanager
def answers(place: Path, bars: Bars, kept: Callable[[], bool] = lambda: False) -> Iterator[Journal]:
    """A journal of model answers, removed if the body ends without an error, unless it is to be ``kept``; in memory if it cannot
    be written.

    Raises:
        RunError: another process is using it.
    """
    try:
        journal = Journal(place, alone=True)
    except OSError as error:
        bars.note(f"{place}: answers cannot be saved: {error.strerror}")
        yield Journal()
        return
    with journal:
        if len(journal):
            bars.note(f"{len(journal)} answers are reused from an earlier call, in {place}")
        yield journal
    if not kept():
        place.unlink(missing_ok=True)


def saved(folder: Path, summary: Summary, items: Sequence[Item], bars: Bars, sets: Sequence[RankedSet] = ()) -> bool:
    """Write an evaluation's folder; where it cannot be written, say so, since the result is still there to be shown."""
    from gramr2.evaluation.log import write_log

    try:
        write_log(folder, summary, items, sets)
    except OSError as error:
        bars.note(f"{folder}: the evaluation cannot be saved: {error.strerror}")
        return False
    return True


def measured_again(folder: Path, summary: Summary, asked: Asked, bars: Bars) -> Summary:
    """A finished evaluation whose agreement with people is measured as it is asked for now, in its folder too."""
    from gramr2.evaluation import evaluating
    from gramr2.evaluation.log import read_log, write_summary

    found = evaluating.measured_again(summary, asked, read_log(folder).items)
    if found is not summary:
        try:
            write_summary(folder, found)
        except OSError as error:
            bars.note(f"{folder}: the agreement with people cannot be saved: {error.strerror}")
    return found


def journaled(model: PreferenceModel, journal: Journal) -> PreferenceModel:
    """The model, with its answers journaled as they come. A baseline costs nothing, so its answers are not journaled."""
    if isinstance(model, Judge):
        return Judge(JournaledBackend(model.backend, journal), model.template, model.sampling, model.view)
    if isinstance(model, ScalarJudge):
        return ScalarJudge(model.model, journal)
    from gramr2.client import Client, JournaledClient

    return JournaledClient(model, journal) if isinstance(model, Client) else model


def require_answers(model: PreferenceModel) -> None:
    """Refuse to call a run finished in which a remote model answered nothing at all; single failures are outcomes.

    Raises:
        NoVerdictError: every request failed; with the last reason.
    """
    if isinstance(model, Judge) and isinstance(model.backend, JournaledBackend) and model.backend.failure is not None:
        raise NoVerdictError(f"{model.id}: no request was answered; the last answer was: {model.backend.failure}")
