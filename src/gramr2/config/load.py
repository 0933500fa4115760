"""Reading and checking a run file, with one sentence per mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from gramr2.config.run import RunConfig, SourceConfig
from gramr2.errors import ConfigError

_FILES = (".jsonl", ".json", ".gz", ".parquet", ".gguf")


def load_config(path: Path) -> RunConfig:
    """The checked config in a YAML file; relative data paths in it are relative to the file's folder.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown, a value has the wrong type, values cannot go
            together, or a data file does not exist. The message names the place and says what to change.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file; gramr2 train takes a run file, see examples/quickstart.yaml"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}: not valid YAML{place}: {getattr(error, 'problem', error)}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: a run file is a mapping with the keys model and data, this one is {_kind(raw)}")
    config = parse_config(raw, str(path))
    return _with_base(config, path.parent, str(path))


def parse_config(raw: dict[str, Any], where: str = "config") -> RunConfig:
    """Check a config that is already a mapping; see ``load_config``."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}: {'; '.join(_sentences(error))}") from error


def dump_config(config: RunConfig) -> str:
    """The resolved config as YAML, every default written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def _with_base(config: RunConfig, base: Path, where: str) -> RunConfig:
    """Make relative paths absolute, and refuse files that are not there."""

    def absolute(source: SourceConfig) -> SourceConfig:
        path = base / source.path
        if path.exists():
            return source.model_copy(update={"path": str(path.resolve())})
        if source.path.endswith(_FILES):
            raise ConfigError(f"{where}: data file {source.path} does not exist (looked for {path.resolve()})")
        return source

    parts = {part: [absolute(s) for s in getattr(config.data, part)] for part in ("seed", "pool", "gold")}
    model = base / config.model.name
    if not model.exists() and config.model.name.endswith(".gguf"):
        raise ConfigError(f"{where}: model file {config.model.name} does not exist (looked for {model.resolve()})")
    name = str(model.resolve()) if model.exists() else config.model.name
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=parts),
            "model": config.model.model_copy(update={"name": name}),
        }
    )


def _sentences(error: ValidationError) -> Iterable[str]:
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"]) or "run"
        if item["type"] == "extra_forbidden":
            yield f"{place}: unknown key{_suggest(item['loc'])}"
        elif item["type"] == "missing":
            yield f"{place}: this key is required"
        elif item["type"] == "value_error":
            yield f"{place}: {item['ctx']['error']}"
        else:
            message = item["msg"][0].lower() + item["msg"][1:]
            yield f"{place}: {message}, got {item['input']!r}"[:400]


def _suggest(location: tuple[int | str, ...]) -> str:
    """«did you mean …» from the keys that exist at that place."""
    model: type[BaseModel] | None = RunConfig
    for part in location[:-1]:
        field = model.model_fields.get(str(part)) if model else None
        annotation = field.annotation if field else None
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    if model is None:
        return ""
    names = list(model.model_fields)
    close = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f", did you mean {close[0]}?" if close else f"; known here: {', '.join(names)}"


def _kind(value: object) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"
