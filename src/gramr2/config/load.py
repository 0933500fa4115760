"""Reading and checking a run file, with one sentence per mistake."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from gramr2.config.data import FILES, SourceConfig, beside
from gramr2.config.run import RunConfig
from gramr2.config.section import Section
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import ConfigError
from gramr2.files import exists
from gramr2.text import closest, hint

S = TypeVar("S", bound=Section)


MOST_BYTES, MOST_VALUES = 1 << 20, 100_000
"""of a run file; YAML's anchors make a few lines hold any number of values"""
MOST_MISTAKES = 5
"""told at a time"""


def load_config(path: Path) -> RunConfig:
    """The checked config in a YAML file; relative data paths in it are relative to the file's folder.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown, a value has the wrong type, values cannot go
            together, or a data file does not exist. The message names the place and says what to change.
    """
    try:
        raw = read_yaml(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file; gramr2 train takes a run file, see examples/quickstart.yaml"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: a run file is a mapping with the keys model and data, but this one is {_kind(raw)}")
    config = parse_config(raw, str(path))
    return _with_base(config, path.parent, str(path))


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ConfigError: it is not YAML, or far more than a run file holds.
        OSError: it cannot be opened.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{path}: larger than {MOST_BYTES >> 20} MiB, which no run file is")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise ConfigError(f"{path}: not valid YAML{place}: {problem}") from error
    except (ValueError, OverflowError) as error:  # a date or a number that Python does not have
        raise ConfigError(f"{path}: a value is not possible ({error}): put it in quotes if it is a text") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply for a run file") from error
    if _has_more_than(found, MOST_VALUES):
        raise ConfigError(f"{path}: holds more than {MOST_VALUES:,} values, as its anchors are written out")
    return found


def parse_config(raw: dict[str, Any], where: str = "config") -> RunConfig:
    """Check a config that is already a mapping; see ``load_config``."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        told = [_short(each) for each in _sentences(error)]
        more = [f"and {len(told) - MOST_MISTAKES} more mistakes"] if len(told) > MOST_MISTAKES else []
        raise ConfigError(f"{where}: {'; '.join([*told[:MOST_MISTAKES], *more])}") from error


def dump_config(config: RunConfig) -> str:
    """The resolved config as YAML, every default written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def _with_base(section: S, base: Path, where: str) -> S:
    """Make relative paths of sources and models absolute, wherever they occur, and refuse files that do not exist."""
    if isinstance(section, SourceConfig):
        return section.model_copy(update={"path": _absolute(section.path, base, f"{where}: data file", FILES)})
    if isinstance(section, ModelConfig):
        return section.model_copy(update={"name": _absolute(section.name, base, f"{where}: model file", (".gguf",))})
    changes: dict[str, Any] = {}
    if isinstance(section, TrainingConfig) and section.accelerate:
        ends = (".yaml", ".yml", ".json")
        changes["accelerate"] = _absolute(section.accelerate, base, f"{where}: training.accelerate", ends)
        if not exists(Path(changes["accelerate"])):
            raise ConfigError(f"{where}: training.accelerate {_short(section.accelerate)} does not exist")
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, Section):
            changes[key] = _with_base(value, base, where)
        elif isinstance(value, list) and value and isinstance(value[0], Section):
            changes[key] = [_with_base(each, base, where) for each in value]
    return section.model_copy(update=changes)


def _absolute(name: str, base: Path, what: str, files: tuple[str, ...]) -> str:
    path = base / name
    if exists(path):
        return str(path.resolve())
    if name.lower().endswith(files):
        told = _short(name)
        raise ConfigError(f"{what} {told} does not exist (looked for {base.resolve() / told}){beside(path)}")
    return name


def _sentences(error: ValidationError) -> Iterable[str]:
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"]) or "run"
        if item["type"] == "extra_forbidden":
            yield f"{place}: unknown key{_suggest(item['loc'])}"
        elif item["type"] == "missing":
            yield f"{place}: this key is required"
        elif item["type"] == "value_error":
            yield f"{place}: {item['ctx']['error']}"
        elif item["type"] == "union_tag_invalid":
            known = re.findall("'([^']*)'", item["ctx"]["expected_tags"])
            tag = str(item["ctx"]["tag"])
            key = item["ctx"]["discriminator"].strip("'")
            yield f"{place}: there is no {key} {tag!r:.300}{hint(tag, known)}: take one of {', '.join(known)}"
        else:
            message = item["msg"][0].lower() + item["msg"][1:]
            yield f"{place}: {message}, got {reprlib.repr(item['input'])}{_meant(item)}"


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"


def _has_more_than(value: Any, most: int) -> bool:
    """Whether a value consists of more than so many values, each counted wherever it occurs."""
    left, found = [value], 0
    while left and found <= most:
        each = left.pop()
        found += 1
        left += [*each.keys(), *each.values()] if isinstance(each, dict) else each if isinstance(each, list) else ()
    return found > most


def _suggest(location: tuple[int | str, ...]) -> str:
    """“did you mean …” from the keys that exist at that place."""
    known: list[type[BaseModel]] = [RunConfig]
    for part in location[:-1]:
        tagged = [m for m in known if part in _tags(m)]
        fields = [m.model_fields[str(part)].annotation for m in known if str(part) in m.model_fields]
        # A list index or the tag of a union is not a field: at most, it narrows down the candidates.
        known = tagged or [m for annotation in fields for m in _models_in(annotation)] or known
    names = list(dict.fromkeys(name for model in known for name in model.model_fields))
    close = closest(str(location[-1]), names)
    return f", did you mean {close}?" if close else f"; known here: {', '.join(names)}"


def _meant(item: Mapping[str, Any]) -> str:
    """“ (did you mean …?)” where a word is not one of those that are allowed."""
    if item["type"] == "literal_error" and isinstance(item["input"], str):
        return hint(item["input"], re.findall("'([^']*)'", item["ctx"]["expected"]))
    if item["type"] == "schedule" and isinstance(item["input"], dict):
        return hint(str(item["input"].get("schedule")), ("linear", "steps", "quantile"))
    return ""


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """The values of a union's discriminator field."""
    return tuple(
        tag
        for key in ("kind", "schedule")
        if key in model.model_fields
        for tag in get_args(model.model_fields[key].annotation)
    )


def _kind(value: object) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"
