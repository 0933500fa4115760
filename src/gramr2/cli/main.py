"""The console script ``gramr2``: registers the commands, and turns errors into one-sentence messages."""

from __future__ import annotations

import sys

import typer

from gramr2.cli import (
    ablate,
    adapt,
    check,
    compare,
    contamination,
    doctor,
    evaluate,
    export,
    init,
    inspect,
    judge,
    lab,
    mcp,
    models,
    rank,
    report,
    review,
    score,
    serve,
    stress,
    train,
    ui,
    verify,
    view,
)
from gramr2.cli.console import say, stderr
from gramr2.cli.examples import epilog
from gramr2.cli.group import Group
from gramr2.errors import GramrError, installed

app = typer.Typer(
    name="gramr2",
    cls=Group,
    help="Judges that train themselves: generative reward models from a few labels and many unlabelled comparisons.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)
app.command("check")(check.check)
app.command("train")(train.train)
app.command("judge")(judge.judge)
app.command("rank")(rank.rank)
app.command("score")(score.score)
app.command("export")(export.export)
app.command("serve")(serve.serve)
app.command("mcp")(mcp.mcp)
app.command("eval")(evaluate.evaluate)
app.command("stress")(stress.stress)
app.command("compare")(compare.compare)
app.command("view")(view.view)
app.command("contamination", cls=contamination.SeveralAgainst)(contamination.contamination)
app.command("report")(report.report)
app.command("inspect")(inspect.inspect)
app.command("ui")(ui.ui)
app.command("review")(review.review)
app.command("verify")(verify.verify)
app.command("adapt")(adapt.adapt)
app.command("ablate")(ablate.ablate)
app.add_typer(lab.app, name="lab")
app.add_typer(models.app, name="models")
for each in app.registered_commands:
    each.epilog = epilog(str(each.name))
for group in app.registered_groups:
    for each in group.typer_instance.registered_commands if group.typer_instance else ():
        each.epilog = epilog(f"{group.name} {each.name}")


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Shared by all commands."""
    if version:
        import gramr2

        typer.echo(f"gramr2 {gramr2.__version__}")
        raise typer.Exit


def _whole() -> str:
    """How to install what is missing."""
    found = installed()
    light = found is not None and found.name == "gramr2-light"
    return "pip uninstall gramr2-light, then  pip install gramr2" if light else "pip install --upgrade gramr2"


INTERRUPTED = 130
"""exit code after Ctrl-C"""


def run() -> None:
    """Entry point. An expected error prints one sentence and has its own exit code; any other is a bug and is not caught."""
    try:
        app()
    except GramrError as error:
        say(f"gramr2: {error}", to=stderr, style="red")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "gramr2"):
            raise
        say(
            f"gramr2: this needs the package {package}, which is not installed here: {_whole()}", to=stderr, style="red"
        )
        sys.exit(2)
    except SystemExit as ended:
        # typer turns Ctrl-C into this, without a message.
        if ended.code == INTERRUPTED:
            say("gramr2: interrupted; the same command resumes from here", to=stderr)
        raise
    except OSError as error:
        if error.errno is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        say(f"gramr2: {place}{error.strerror}", to=stderr, style="red")
        sys.exit(1)


if __name__ == "__main__":
    run()
