"""A process that forks runs and lets them die: ``python crashing.py CONFIG.json``, then lines «FOLDER KILL_AT LOG» on stdin.

Each line runs the self-training of the config in FOLDER, in a forked child. The child counts its steps (every file it opens
for writing, renames or removes in the folder, every journal line, every optimiser step) and kills itself with SIGKILL at
number KILL_AT; 0 runs to the end. Steps are written to LOG, a line each. The answer is a line with the child's exit status.
Importing torch once for all children is what makes dozens of kills affordable.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from gramr2.config import parse_config
from gramr2.journal import Journal
from gramr2.selftraining.loop import SelfTraining

_FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree", "shutil.copytree"}


class Steps:
    """Counts steps, and dies at the chosen one."""

    def __init__(self, folder: Path, kill_at: int, log: Path) -> None:
        self.folder, self.kill_at, self.count = str(folder), kill_at, 0
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def step(self, what: str) -> None:
        self.count += 1
        os.write(self.log, f"{what}\n".encode())
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        path = os.fsdecode(args[0]) if args and isinstance(args[0], str | bytes | os.PathLike) else ""
        if not path.startswith(self.folder):
            return
        place = path.removeprefix(self.folder).lstrip("/")
        writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax")
        if writes or event in _FILE_EVENTS:
            self.step(f"{event} {place}")

    def journal(self, original: Any) -> Any:
        def write(journal: Journal, key: str, record: dict[str, Any]) -> None:
            if self.count + 1 == self.kill_at:
                # Death in the middle of a line.
                line = json.dumps({"key": key, **record})
                journal._file.write(line[: len(line) // 2])
                journal._file.flush()
            self.step(f"journal {journal.path.name}")
            original(journal, key, record)

        return write


def child(config: dict[str, Any], folder: Path, kill_at: int, log: Path) -> None:
    steps = Steps(folder, kill_at, log)
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
    SelfTraining(parse_config(config), folder, engine=engine).run()


def main() -> None:
    import sklearn.linear_model  # noqa: F401

    config = json.loads(Path(sys.argv[1]).read_text())
    if config["model"] != "scripted":
        import gramr2.backends.transformers
        import gramr2.training.sft
        import gramr2.training.warmup  # noqa: F401
    for line in sys.stdin:
        folder, kill_at, log = line.split()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child(config, Path(folder), int(kill_at), Path(log))
                code = 0
            except BaseException:  # noqa: BLE001 - the child must not return into the parent's loop
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
