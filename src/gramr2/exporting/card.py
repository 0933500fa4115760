"""The model card: the judge, its prompt, its training data, and its results with intervals."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from gramr2.backends.registry import NAMED_MODELS
from gramr2.comparison import Comparison, Message
from gramr2.exporting.export import Check
from gramr2.exporting.source import Source
from gramr2.judging.template import JudgeTemplate
from gramr2.reporting.run import read_run
from gramr2.text import p_value, percent

_PLACEHOLDERS = Comparison("", (Message("user", "{prompt}"),), ("{response A}", "{response B}"))


def card(source: Source, template: JudgeTemplate, check: Check, dtype: str, name: str) -> str:
    """The card as Markdown with the hub's metadata in front."""
    environment = Environment(
        loader=PackageLoader("gramr2.exporting", "."), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "p_value": p_value, "points": lambda value: f"{100 * value:+.1f}"}
    known = NAMED_MODELS.get(source.base or "")
    metadata: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["reward-model", "llm-as-a-judge", "gramr2"],
    }
    # Only what the hub can resolve: a folder of this machine means nothing there, but may look like OWNER/NAME.
    of_hub = source.base is not None and _from_hub(source.base)
    if of_hub:
        metadata["base_model"] = source.base
    if known:
        metadata["license"] = known.license.lower()
    return environment.get_template("card.md.j2").render(
        metadata=yaml.safe_dump(metadata, sort_keys=False).strip(),
        name=name,
        base=source.base if of_hub or known or source.base is None else Path(source.base).name,
        template=template,
        options=json.dumps(source.options, ensure_ascii=False) if source.options else None,
        rendered=template.render(_PLACEHOLDERS)[-1].content,
        adaptation=_adaptation(source.record),
        run=_run(source.record),
        check=check,
        dtype=dtype,
        versions=", ".join(f"{each} {version(each)}" for each in ("gramr2", "transformers", "torch")),
    )


def _adaptation(record: Path | None) -> dict[str, Any] | None:
    file = record / "adaptation.json" if record else None
    return json.loads(file.read_text(encoding="utf-8")) if file and file.is_file() else None


def _run(record: Path | None) -> dict[str, Any] | None:
    """What a run's own files say about its data and its judges."""
    if record is None or not (record / "run.yaml").is_file():
        return None
    view = read_run(record)
    data = json.loads((record / "data.json").read_text(encoding="utf-8"))
    return {
        "data": data,
        "sources": {
            part: [_plain(each["path"]) for each in view.config["data"][part]] for part in ("seed", "pool", "gold")
        },
        "rounds": [(each.title, each.metrics) for each in view.measured],
        "training": view.config["training"],
        "rationale": view.config["rationale"]["source"],
        "filters": [each["kind"] for each in view.config["filters"]],
        "seed": view.config["seed"],
    }


def _from_hub(name: str) -> bool:
    """Whether a model of this name was downloaded from the hub, going by the hub's cache."""
    from huggingface_hub import constants

    owner, slash, rest = name.partition("/")
    return bool(slash) and "/" not in rest and Path(constants.HF_HUB_CACHE, f"models--{owner}--{rest}").is_dir()


def _plain(path: str) -> str:
    """A source without the folders of this machine: named data sets and hub ids stay, a file is reduced to its name."""
    named = path.startswith(("lab:", "starter:", "hub:"))
    hub = path.count("/") == 1 and not path.startswith((".", "/", "~")) and not Path(path).suffix
    return path if named or hub else Path(path).name
