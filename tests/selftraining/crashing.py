"""A process that forks runs and lets them die: ``python crashing.py CONFIG.json``, then a JSON object a line on stdin.

``{"folder", "kill_at", "log", "copies"}`` runs the self-training of the config in the folder, in a forked child. The child counts
its steps (every file it opens for writing, renames or removes in the folder, every journal line, every optimiser step) and kills
itself with SIGKILL at number ``kill_at``; 0 runs to the end. At the steps in ``copies`` it copies its folder instead, which is what
a kill would leave, to the place that is given there. Steps are written to ``log``, a line each. The answer is a line with the
child's exit status. Importing everything once for all children is what makes dozens of kills affordable.

``{"words", "limit", "errors"}`` runs a command instead, which can write no larger file than ``limit`` bytes where that is a number;
its standard error goes to ``errors``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from gramr2.cli.main import run
from gramr2.config import parse_config
from gramr2.journal import Journal
from gramr2.selftraining.loop import SelfTraining

_FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree", "shutil.copytree"}


class Steps:
    """Counts steps, and dies at the chosen one."""

    def __init__(self, folder: Path, kill_at: int, log: Path, copies: dict[str, str]) -> None:
        self.folder, self.kill_at, self.count = str(folder), kill_at, 0
        self.copies, self.copying = {int(number): place for number, place in copies.items()}, False
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def step(self, what: str) -> None:
        self.count += 1
        os.write(self.log, f"{what}\n".encode())
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.count in self.copies:
            self.copying = True
            shutil.copytree(self.folder, self.copies[self.count])
            self.copying = False

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        path = os.fsdecode(args[0]) if args and isinstance(args[0], str | bytes | os.PathLike) else ""
        if self.copying or not path.startswith(self.folder):
            return
        place = path.removeprefix(self.folder).lstrip("/")
        writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax")
        if writes or event in _FILE_EVENTS:
            self.step(f"{event} {place}")

    def journal(self, original: Any) -> Any:
        def write(journal: Journal, key: str, record: dict[str, Any]) -> None:
            if self.count + 1 in {self.kill_at, *self.copies}:
                # Death in the middle of a line.
                line, whole = json.dumps({"key": key, **record}), journal.path.stat().st_size
                journal._file.write(line[: len(line) // 2].encode("utf-8", "surrogatepass"))
                journal._file.flush()
                self.step(f"journal {journal.path.name}")
                os.ftruncate(journal._file.fileno(), whole)
            else:
                self.step(f"journal {journal.path.name}")
            original(journal, key, record)

        return write


def child(config: dict[str, Any], steps: Steps) -> None:
    sys.addaudithook(steps.audit)
    Journal.write = steps.journal(Journal.write)  # type: ignore[method-assign]
    engine: Any = None
    if config["model"] == "scripted":
        from gramr2.testing import ScriptedEngine

        engine = ScriptedEngine()
    else:
        from gramr2.selftraining.run.engine import LocalEngine

        class Counting(LocalEngine):
            def train(self, start, into, job, model, progress):  # type: ignore[no-untyped-def]
                def counted(done: int, total: int) -> None:
                    steps.step(f"training step {into.parent.name}")
                    progress(done, total)

                return super().train(start, into, job, model, counted)

            def warm_up(self, start, into, job, model, progress):  # type: ignore[no-untyped-def]
                def counted(done: int, total: int) -> None:
                    steps.step("training step warmup")
                    progress(done, total)

                return super().warm_up(start, into, job, model, counted)

        engine = Counting(parse_config(config))
    SelfTraining(parse_config(config), Path(steps.folder), engine=engine).run()


def command(words: list[str], limit: int | None, errors: str) -> None:
    """Run a command to its exit; standard output is for answers."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(errors, os.O_WRONLY), 2)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    sys.argv = words
    run()
    raise SystemExit(0)


def forked(config: dict[str, Any], given: dict[str, Any], modules: Path) -> int:
    """The exit status of a child; ``modules`` lists what one that ran to its end had imported."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if "words" in given:
                command(given["words"], given["limit"], given["errors"])
            child(config, Steps(Path(given["folder"]), given["kill_at"], Path(given["log"]), given["copies"]))
            modules.write_text("\n".join(sys.modules))
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:  # noqa: BLE001 - the child must not return into the parent's loop
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def preload(modules: Path) -> None:
    """Import what a child imported, and keep the garbage collector off it: a look through all of it takes 0.3 seconds."""
    for name in modules.read_text().splitlines():
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    modules = Path(sys.argv[1]).with_name("modules.txt")
    if config["model"] != "scripted":
        # The first child needs them too.
        import gramr2.backends.transformers
        import gramr2.training.sft
        import gramr2.training.warmup  # noqa: F401
    gc.freeze()
    loaded = False
    for line in sys.stdin:
        status = forked(config, json.loads(line), modules)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()
        if modules.exists() and not loaded:
            preload(modules)
            loaded = True


if __name__ == "__main__":
    main()
