"""One judge for many sources of comparisons, beside what it has to beat on each.

    python benchmarks/foundation.py examples/foundation.yaml --tests DIR --out DIR [--limit 100] [--specialised]
                                    [--adapt DIR --shots 16] [--csv FILE] [--plot FILE.svg]

Trains the run of the YAML in DIR/run, then measures on every .jsonl in --tests, of which at most --limit comparisons are drawn as
``gramr2 eval --limit`` draws them: the judge, its seed judge, and the run's cheap baselines. A test file named like a file of
the seed is a seen source. There, baselines fitted on that source's own seed rows stand beside the judge, and with --specialised
a run of the same YAML on that source alone. --adapt names labelled comparisons of unseen sources: from --shots of each, the judge
learns as with ``gramr2 adapt``, and the pretrained model beside it in the same way. Goes on where it was stopped: what a judge
said of a source is DIR/rows/SOURCE/JUDGE.json. Comparisons too long for the model are left out for all, and counted. Writes
table.md and table.csv.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gramr2 import baselines
from gramr2.adaptation.task import Task, run_config
from gramr2.backends.hardware import versions
from gramr2.baselines.view import load_view
from gramr2.cli.console import Bars
from gramr2.cli.train import run_and_show
from gramr2.comparison import LabeledComparison
from gramr2.config import RunConfig, load_config
from gramr2.config.data import SourceConfig
from gramr2.config.load import parse_config
from gramr2.data import OnBadRow, load_labeled, refuse_leaks, subset
from gramr2.errors import ConfigError, DataError
from gramr2.evaluation.sources import Source, measured, source_of
from gramr2.files import write_json, write_jsonl, write_text
from gramr2.hashing import digest_of
from gramr2.judging.budget import overlong
from gramr2.judging.judge import Judge
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.records import labeled_row
from gramr2.judging.saved import load_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.reporting import sources as tables
from gramr2.selftraining.gate.baselines import from_run
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.context import sampling_of
from gramr2.selftraining.run.data import fit_to_budget, load_data
from gramr2.selftraining.run.engine import LocalEngine
from gramr2.selftraining.run.sources import read_labeled
from gramr2.text import percent

OWN = ("bag-of-words", "frozen-features")
LEARNT = (tables.ADAPTED, tables.PRETRAINED, f"own {OWN[1]}")
"""what learns a few labels of an unseen source"""
MEASURED = 8
"""gold comparisons that a training of a few labels measures itself on"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and measure what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN.yaml")
    parser.add_argument("--tests", type=Path, required=True, help="a folder of labelled comparisons, a .jsonl a source")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=100, help="comparisons per source, at most")
    parser.add_argument("--specialised", action="store_true", help="also train a judge per seen source")
    parser.add_argument(
        "--adapt", type=Path, help="a folder of labelled comparisons to adapt to, a .jsonl an unseen source"
    )
    parser.add_argument("--shots", type=int, default=16, help="how many of each are learnt")
    parser.add_argument("--csv", type=Path, help="default: table.csv in --out")
    parser.add_argument("--plot", type=Path, help="an .svg")
    given = parser.parse_args(arguments)
    config = load_config(given.run)
    tests = read_tests(given.tests, given.limit, config)
    shots = read_shots(given.adapt, given.shots, tests, config) if given.adapt else {}
    run_and_show(config, given.out / "run", quiet=False, as_json=False)
    panel = Panel(
        config,
        given.out.resolve(),
        tests,
        {name: digest_of(list(map(labeled_row, rows))) for name, rows in shots.items()},
    )
    panel.measure(given.specialised)
    panel.measure_adapted(shots)
    rows = {(s.name, name): row for s in panel.sources for name in tables.COLUMNS if (row := panel.row(s, name))}
    found = tables.lines(panel.sources, rows)
    learnt = f" Adapted on {given.shots} comparisons." if shots else ""
    table = tables.markdown(
        found, f"{given.run.name}, at most {given.limit} comparisons a source.{learnt} {versions()}."
    )
    write_text(given.out / "table.md", table)
    write_text(given.csv or given.out / "table.csv", tables.as_csv(found))
    if given.plot:
        write_text(given.plot, tables.figure(found))
    print(table)


def read_tests(folder: Path, limit: int, config: RunConfig) -> dict[str, Any]:
    """The labelled comparisons of each source, by its name.

    Raises:
        ConfigError: there are none.
        DataError: one of them is also in what the run learns from.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise ConfigError(f"{folder} has no .jsonl file: give a folder of labelled comparisons with --tests")
    drawn = [subset(load_labeled(str(file))[0], limit, 0, key=lambda item: item.comparison.id) for file in files]
    found = {name_of(file): items for file, items in zip(files, drawn, strict=True)}
    data = load_data(config)
    labelled = (*data.seed, *data.held_out, *data.proving, *data.final)
    learnt = [*data.pool, *(item.comparison for item in labelled)]
    for name, items in found.items():
        refuse_leaks(items, learnt, of=f"{name}'s test", where="what the run learns from")
    return found


def read_shots(
    folder: Path, count: int, tests: dict[str, Any], config: RunConfig
) -> dict[str, list[LabeledComparison]]:
    """The labelled comparisons that are learnt of each unseen source, drawn of those that fit the model.

    Raises:
        ConfigError: a file of the folder is named like no source, or like a seen one; or there is none.
        DataError: a source has too few comparisons, or one of them also measures.
    """
    files, seen = sorted(folder.glob("*.jsonl")), {name_of(each.path) for each in config.data.seed}
    if not files or count < 1:
        raise ConfigError(
            "--adapt takes a folder with a .jsonl file for each source to adapt to, and --shots at least 1"
        )
    template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))
    counter, found = LocalEngine(config).counter(), {}
    for file in files:
        name, known = name_of(file), load_labeled(str(file))[0]
        if name in seen or name not in tests:
            why = "the run has its labels" if name in seen else "--tests has nothing to measure it on"
            raise ConfigError(f"{file}: {why}: leave it out of --adapt")
        refuse_leaks(tests[name], known, of=f"{name}'s test", where=str(file))
        room = config.judge.gold.max_new_tokens
        long = {each.id for each in overlong(counter, template, [(i.comparison, "") for i in known], new_tokens=room)}
        fitting = [item for item in known if item.comparison.id not in long]
        if long:
            print(f"{file}: {len(long)} of {len(known)} comparisons are too long and left out", flush=True)
        if len(fitting) < count:
            raise DataError(f"{file} has {len(fitting)} comparisons that fit the model: --shots {count} takes more")
        found[name] = list(subset(fitting, count, config.seed, key=lambda item: item.comparison.id))
    return found


def name_of(path: Path | str) -> str:
    """A source's name: its file's, without the folder and the ending."""
    return re.sub(r"\.(jsonl\.gz|jsonl|json|parquet)$", "", Path(path).name)


class Panel:
    """What is measured of a trained run, in ``out/run``, on the labelled comparisons of each source; ``learnt`` is the digest of
    what is learnt of an unseen one."""

    def __init__(self, config: RunConfig, out: Path, tests: dict[str, Any], learnt: dict[str, str]) -> None:
        self.config, self.out, self.run, self.learnt = config, out, out / "run", learnt
        self.engine = LocalEngine(config)
        self.template = load_template(self.run / "judge")
        seeds = {name_of(each.path) for each in config.data.seed}
        self.sources = [self._source(name, items, name in seeds) for name, items in tests.items()]

    def measure(self, specialised: bool) -> None:
        """Every judge on every source that it has no row of; a judge is opened only if there is one."""
        for name, sources, open_model in self.judges(specialised):
            missing = [source for source in sources if self.row(source, name) is None]
            if not missing:
                continue
            try:
                model = open_model()
            except (ConfigError, DataError) as error:
                print(f"{name} is left out on {', '.join(each.name for each in missing)}: {error}", flush=True)
                continue
            for source in missing:
                decisions = model.compare([item.comparison for item in source.items], 0) if source.items else []
                self._write(source, name, measured(source, name, decisions))

    def measure_adapted(self, shots: dict[str, list[LabeledComparison]]) -> None:
        """The judge and the pretrained model after learning these, as ``gramr2 adapt`` trains, and frozen features of the same
        labels."""
        for source in self.sources:
            if source.name not in shots or not source.items:
                continue
            rows = shots[source.name]
            learners: dict[str, Callable[[Sequence[LabeledComparison]], PreferenceModel]] = {
                tables.ADAPTED: partial(self._adapted, tables.ADAPTED, source.name),
                tables.PRETRAINED: partial(self._adapted, tables.PRETRAINED, source.name),
                f"own {OWN[1]}": partial(self._fitted, OWN[1]),
            }
            for name, learn in learners.items():
                if self.row(source, name) is None:
                    try:
                        model = learn(rows)
                    except (ConfigError, DataError) as error:
                        print(f"{name} is left out on {source.name}: {error}", flush=True)
                        continue
                    decisions = model.compare([item.comparison for item in source.items], 0)
                    self._write(source, name, measured(source, name, decisions) | {"learnt": self.learnt[source.name]})

    def _adapted(self, name: str, source: str, rows: Sequence[LabeledComparison]) -> PreferenceModel:
        """A model that learns the rows; the run's own settings but for what it starts from and how ``gramr2 adapt`` trains."""
        folder = self.out / "adapted" / f"{source}-{self.learnt[source][:12]}"
        learnt = folder / "learnt.jsonl"
        write_jsonl(learnt, map(labeled_row, rows))
        start = str(self.run / "judge") if name == tables.ADAPTED else self.config.model.name
        # A run has to measure something: a little of the gold. The test is judged below, as it is for all the others.
        task = Task(str(self.run / "judge"), str(learnt), test=str(learnt), seed=self.config.seed)
        raw = run_config(task, self.template, None, rows).model_dump(mode="json")
        raw["model"] = self.config.model.model_dump(mode="json") | {"name": start}
        raw["judge"] |= {part: getattr(self.config.judge, part).model_dump(mode="json") for part in ("pool", "gold")}
        raw["data"]["gold"] = [self.config.data.gold[0].model_dump(mode="json") | {"limit": MEASURED}]
        run = SelfTraining(parse_config(raw, name), folder / name.split(",")[0], observer=Bars(False))
        run.run()
        return self._judge(run.folder.judge)

    def _write(self, source: Source, name: str, row: dict[str, Any]) -> None:
        write_json(self._file(source, name), row)
        print(f"{name} on {source.name}: {percent(row['accuracy'])} of {row['n']}", flush=True)

    def row(self, source: Source, judge: str) -> dict[str, Any] | None:
        """What was measured; None if nothing was, or of other comparisons, or of a judge that learnt others."""
        file = self._file(source, judge)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        same = found.get("learnt") == (None if source.seen or judge not in LEARNT else self.learnt.get(source.name, ""))
        return found if found.get("digest") == source.digest and same else None

    def judges(self, specialised: bool) -> Iterator[tuple[str, list[Source], Callable[[], PreferenceModel]]]:
        """A judge's name, the sources it is measured on, and what opens it; the cheap ones first."""
        for name in ("longer", *OWN):
            yield name, self.sources, partial(from_run, name, "" if name == "longer" else str(self.run))
        seed_judge = self.run / "rounds" / "0" / "model"
        if seed_judge.is_dir():
            yield "seed judge", self.sources, partial(self._judge, seed_judge)
        yield "judge", self.sources, partial(self._judge, self.run / "judge")
        seen = [source for source in self.sources if source.seen]
        for source in seen:
            for name in OWN:
                yield f"own {name}", [source], partial(self._own, name, source.name)
        for source in seen if specialised else ():
            yield "specialised", [source], partial(self._specialised, source.name)

    def _source(self, name: str, items: Any, seen: bool) -> Source:
        asked = [(item.comparison, "") for item in items]
        written = 1 if self.template.mode is JudgeMode.LABEL else self.config.judge.gold.max_new_tokens
        found = overlong(self.engine.counter(), self.template, asked, new_tokens=written)
        return source_of(name, items, seen=seen, too_long=frozenset(each.id for each in found))

    def _file(self, source: Source, judge: str) -> Path:
        return self.out / "rows" / source.name / f"{judge.replace(' ', '-')}.json"

    def _judge(self, folder: Path) -> PreferenceModel:
        """A judge of this run or of a specialised one, asked and read as its own file says."""
        template = load_template(folder)
        sampling, view = sampling_of(self.config.judge.gold), load_view(folder)
        judge = Judge(self.engine.open(folder, self.config.model), template, sampling, view)
        return judge.direct if template.mode is JudgeMode.LABEL else judge

    def _own(self, name: str, source: str) -> PreferenceModel:
        """A baseline fitted on those of the run's own seed rows that are of this source."""
        config, on_bad_row = self.config, OnBadRow(self.config.data.on_bad_row)
        ids = {
            item.comparison.id for each in of(config.data.seed, source) for item in read_labeled(each, on_bad_row)[0]
        }
        data = fit_to_budget(load_data(config), config, self.template, self.engine.counter())
        rows = [item for item in (*data.seed, *data.held_out) if item.comparison.id in ids]
        return self._fitted(name, rows)

    def _fitted(self, name: str, rows: Sequence[LabeledComparison]) -> PreferenceModel:
        """A baseline of these, on the run's pretrained model."""
        config = self.config
        setting = baselines.Setting(config.model, self.engine.backbone(config.model), config.seed, config.training)
        return baselines.fit(name, rows, model=setting)

    def _specialised(self, source: str) -> PreferenceModel:
        """A judge of the same YAML on this source's seed, pool and gold alone."""
        raw = self.config.model_dump(mode="json")
        for part in ("seed", "pool", "gold"):
            raw["data"][part] = [each.model_dump(mode="json") for each in of(getattr(self.config.data, part), source)]
        folder = self.out / "specialised" / source
        SelfTraining(parse_config(raw, f"{source} alone"), folder, observer=Bars(False)).run()
        return self._judge(folder / "judge")


def of(sources: Sequence[SourceConfig], name: str) -> list[SourceConfig]:
    """Those of one source."""
    return [each for each in sources if name_of(each.path) == name]


if __name__ == "__main__":
    main()
