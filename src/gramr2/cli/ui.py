"""``gramr2 ui``: the page: label comparisons, browse runs, try a judge."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gramr2.cli.addresses import Host, Insecure, ready_to_listen, server_names
from gramr2.cli.console import Bars, say, set_up_logging, stderr
from gramr2.cli.opening import asks, open_model, open_served
from gramr2.cli.reading import reads
from gramr2.cli.to_label import judged, to_label
from gramr2.config.data import Layout
from gramr2.data import OnBadRow
from gramr2.errors import ConfigError
from gramr2.judging.judge import Judge
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.scalar import ScalarJudge
from gramr2.loading import JudgeOptions
from gramr2.text import percent
from gramr2.web.labelling.order import SHARE

if TYPE_CHECKING:
    from gramr2.serving.model import Model
    from gramr2.web.labelling.session import Session
    from gramr2.web.runs.shelf import Shelf


@asks
@reads
def ui(
    how: JudgeOptions,
    layout: Layout,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN…|DATA]", help="Run folders, or a folder of them; or comparisons to --label."),
    ] = None,
    label: Annotated[
        Path | None,
        typer.Option(
            "--label", metavar="OUT", help="Label the comparisons of DATA, or of RUN's last round, into this .jsonl."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Judge: for the playground, and to label first what it is unsure of."),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", metavar="FILE", help="What gramr2 judge has written for DATA, instead of --model."),
    ] = None,
    annotator: Annotated[
        str | None, typer.Option("--annotator", help="Who labels; every annotator has a file of their own.")
    ] = None,
    random_share: Annotated[
        float,
        typer.Option("--random", min=0, max=1, help="Share of comparisons drawn by chance, to measure agreement."),
    ] = SHARE,
    show_judge: Annotated[
        bool, typer.Option("--show-judge", help="Show the judge's opinion before the answer, which biases it.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the order, of who is on the left, and of the votes.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N comparisons of DATA.")] = None,
    on_bad_row: Annotated[OnBadRow, typer.Option("--on-bad-row")] = OnBadRow.FAIL,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8001,
    token: Annotated[
        str | None, typer.Option("--token", envvar="GRAMR2_TOKEN", help="Token that the page asks for.")
    ] = None,
    insecure: Insecure = False,
    trusted_host: Annotated[
        list[str] | None, typer.Option("--trusted-host", help="Name that the page may be called by; repeatable.")
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Open the page: label comparisons (--label), browse runs, try a judge (--model)."""
    set_up_logging(quiet=False)
    ready_to_listen("gramr2 ui", host, token, insecure)
    from gramr2.serving.middleware import ServerLimits
    from gramr2.web.app import ui_app
    from gramr2.web.labelling.opening import session_of
    from gramr2.web.labelling.store import LabelStore

    given = sources or []
    for_labels = {
        "--decisions": decisions,
        "--show-judge": show_judge,
        "--annotator": annotator,
        "--limit": limit,
        "--seed": seed,
        "--random": random_share != SHARE,
        "--on-bad-row": on_bad_row is not OnBadRow.FAIL,
    }
    usual = Layout()
    for_labels |= {f"--{name.replace('_', '-')}": value != getattr(usual, name) for name, value in layout}
    if not label and (unused := [name for name, value in for_labels.items() if value]):
        raise ConfigError(f"{unused[0]} is for labelling: add --label OUT.jsonl")
    if not model and (unused := [*how.given]):
        raise ConfigError(f"--{unused[0].replace('_', '-')} is for a judge: add --model")
    if label and len(given) != 1:
        raise ConfigError("--label takes one source: name one file of comparisons, or one run")
    if not given and not model:
        raise ConfigError(
            "nothing to show: name run folders, a file of comparisons with --label, or a judge with --model"
        )
    if decisions and model:
        raise ConfigError("--decisions and --model exclude each other: give one of them")
    runs = _runs(given, label is not None)
    with ExitStack() as stack:
        session: Session | None = None
        opened: PreferenceModel | None = None
        if label:
            bars = Bars()
            items, opinions, judge = to_label(given[0], runs, layout, limit, on_bad_row, bars)
            if decisions:
                from gramr2.web.labelling.opinions import read_opinions

                opinions, judge = read_opinions(decisions), decisions.name
            store = stack.enter_context(LabelStore(label, annotator))
            if store.damaged:
                bars.note(f"{store.log}: {store.damaged} damaged lines are left out")
            if model:
                opened = open_model(model, how)
                opinions, judge = judged(opened, items, seed, label, how, bars), opened.id
            session = session_of(items, store, opinions, judge=judge, seed=seed, share=random_share, show=show_judge)
        elif model:
            opened = open_served(model, how)
        worker = _worker(opened)
        app = ui_app(
            shelf=_shelf(runs),
            session=session,
            model=worker,
            limits=ServerLimits(),
            token=token,
            hosts=server_names(host, token, trusted_host or ()),
            trusted=trusted_host or (),
        )
        _listen(app, host, port, browser)
        if session is not None and label is not None:
            _tell(session, label)
        if worker is not None and worker.failure is not None:
            raise worker.failure


def _runs(sources: Sequence[str], labelling: bool) -> list[Path]:
    from gramr2.web.runs.shelf import runs_in

    found: list[Path] = []
    for source in sources:
        runs = runs_in(Path(source))
        if not runs and not labelling:
            raise ConfigError(
                f"{source} is neither a run nor a folder of runs: to label comparisons, add --label OUT.jsonl"
            )
        found += runs
    return found


def _shelf(runs: Sequence[Path]) -> Shelf | None:
    from gramr2.web.runs.shelf import Shelf

    return Shelf(runs) if runs else None


def _worker(judge: PreferenceModel | None) -> Model | None:
    """The judge of the playground; none if the model only decides, as a baseline does."""
    from gramr2.serving.model import Model

    return Model(lambda: judge) if isinstance(judge, Judge | ScalarJudge) else None


def _listen(app: object, host: str, port: int, browser: bool) -> None:
    import uvicorn

    from gramr2.serving.connections import ACCEPTED, BoundedServer, ConnectionLimits, bounded_protocol, descriptors_for
    from gramr2.serving.logs import bound_logs

    settings = uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        http=bounded_protocol(ConnectionLimits(descriptors_for(256))),
        ws="none",
        backlog=ACCEPTED,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
    bound_logs()
    server = BoundedServer(settings)
    bound = settings.bind_socket()
    url = f"http://{host}:{bound.getsockname()[1]}"
    say(f"listening on {url}, until Ctrl-C", to=stderr)
    if browser:
        typer.launch(url)
    # uvicorn raises it again when it has ended in good order, and here it is how a person stops.
    with suppress(KeyboardInterrupt):
        server.run(sockets=[bound])


def _tell(session: Session, label: Path) -> None:
    """What was labelled, and how far the judge agrees."""
    state = session.state()
    say(
        f"{state['labelled']} label{'s' * (state['labelled'] != 1)}, {state['skipped']} skipped → {label}: add it to data.seed",
        to=stderr,
    )
    for each in session.agreement():
        share = each.random
        if share.share is not None:
            say(
                f"agrees with {each.other} on {share.same} of {share.decided} random ones: {percent(share.share)} "
                f"({percent(share.low)} to {percent(share.high)})",
                to=stderr,
            )
