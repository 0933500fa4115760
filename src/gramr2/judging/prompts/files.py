"""Prompts from files: gramr2's own form, and the files in which the field publishes its prompts, as they are.

Published are FastChat's ``judge_prompts.jsonl``, the configs of arena-hard-auto, and constants in Python files, which are read
and not run: those of reward-bench and prometheus-eval.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gramr2.errors import ConfigError, reason_of
from gramr2.judging.parser import VerdictFormat
from gramr2.judging.prompts.base import FieldPrompt
from gramr2.judging.prompts.constants import constants_of

log = logging.getLogger("gramr2")

SUFFIXES = (".yaml", ".yml", ".json", ".jsonl", ".txt", ".py")
OWN = ("name", "source", "system", "system_file", "user", "user_file", "verdict", "ties", "fill")
"""keys of gramr2's own form"""
_SIGNS = (
    (VerdictFormat.GRADES, ("[[A>B]]", "[[A>>B]]", "AB<>=")),
    (VerdictFormat.BRACKETS, ("[[A]]",)),
    (VerdictFormat.RESULT, ("[RESULT]",)),
    (VerdictFormat.TAG, ("<answer>",)),
    (VerdictFormat.BOXED, ("\\boxed{",)),
)
"""what a prompt says if it asks for a format"""
_TIES = ("[[A=B]]", "[[C]]", "[[tie]]", "AB<>=", "<answer>tie", "\\boxed{tie")


def is_file(name: str) -> bool:
    """Whether a name is that of a file with a prompt, with an entry or without."""
    return _split(name)[0].suffix.lower() in SUFFIXES


def read_prompt(name: str) -> FieldPrompt:
    """The prompt in a file.

    Raises:
        ConfigError: it cannot be read, holds several prompts of which none is named, or is no pairwise prompt.
    """
    path, _ = _split(name)
    found = _content(name)
    if isinstance(found, str):
        return _made(name, path, found, "", {})
    if "prompt_template" in found:
        return _published(name, path, found)
    return _own(name, path, found)


def _split(name: str) -> tuple[Path, str]:
    """The file and the entry, if one is named."""
    if Path(name).exists():
        return Path(name), ""
    file, _, entry = name.partition("#")
    return Path(file), entry


def _content(name: str) -> str | dict[str, Any]:
    """What a file says under an entry: a text, or an object."""
    path, entry = _split(name)
    suffix = path.suffix.lower()
    try:
        text = path.read_text(encoding="utf-8")
        if suffix == ".txt":
            return text
        if suffix == ".py":
            return _picked(name, constants_of(text), entry)
        if suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
            return _picked(name, {str(row["name"]): row for row in rows}, entry)
        value = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except ConfigError:
        raise
    except (OSError, ValueError, SyntaxError, yaml.YAMLError, RecursionError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else reason_of(error)
        raise ConfigError(f"the prompt {name} cannot be read ({why}): is it a file with a prompt?") from error
    if isinstance(value, list):
        return _picked(name, {str(row.get("name")): row for row in value if isinstance(row, dict)}, entry)
    if not isinstance(value, dict):
        raise ConfigError(f"the prompt {name} is not an object: give {', '.join(OWN)}")
    return value


def _picked(name: str, entries: Mapping[str, Any], entry: str) -> str | dict[str, Any]:
    """One of a file's entries; the only one if none is named."""
    if not entry and len(entries) == 1:
        entry = next(iter(entries))
    if entry not in entries:
        file = name.partition("#")[0]
        raise ConfigError(f"{file} has the prompts {', '.join(entries) or '(none)'}: name one, {file}#ENTRY")
    found = entries[entry]
    if not isinstance(found, str | dict):
        raise ConfigError(f"{name} is neither a text nor an object with a prompt_template: name another entry")
    return found


def _published(name: str, path: Path, values: Mapping[str, Any]) -> FieldPrompt:
    """FastChat's and reward-bench's entries, and arena-hard-auto's configs."""
    if values.get("type", "pairwise") != "pairwise" or values.get("pairwise") is False:
        raise ConfigError(f"the prompt {name} grades one answer: give one that compares two")
    if values.get("reference"):
        raise ConfigError(f"the prompt {name} shows a reference answer, which a comparison has not: give another")
    used = ("name", "type", "pairwise", "reference", "prompt_template", "system_prompt", "description", "category")
    signs = ("output_format", "regex_pattern", "regex_patterns")
    if unused := [key for key in values if key not in (*used, *signs)]:
        log.info("%s: %s are not used: options say how a model is asked", path, ", ".join(unused))
    return _made(
        name, path, _user_of(name, values), _system_of(name, values), {}, *(str(values.get(s, "")) for s in signs)
    )


def _user_of(name: str, values: Mapping[str, Any]) -> str:
    template = values.get("prompt_template", values.get("user"))
    if isinstance(template, list) and len(template) == 1:
        [template] = template
    if not isinstance(template, str):
        raise ConfigError(f"the prompt {name} has no single text for one turn: give another")
    return template


def _system_of(name: str, values: Mapping[str, Any]) -> str:
    system = values.get("system_prompt", values.get("system")) or ""
    if not isinstance(system, str):
        raise ConfigError(f"the system text of the prompt {name} is not a text")
    return system


def _own(name: str, path: Path, values: Mapping[str, Any]) -> FieldPrompt:
    """gramr2's own form."""
    if unknown := [str(key) for key in values if key not in OWN]:
        raise ConfigError(f"the prompt {name} has {unknown[0]}, which is not known: give {', '.join(OWN)}")
    parts = {}
    for key, read in (("user", _user_of), ("system", _system_of)):
        if key in values and f"{key}_file" in values:
            raise ConfigError(f"the prompt {name} has {key} and {key}_file: give one of them")
        parts[key] = values.get(key) or ""
        if f"{key}_file" in values:
            other = str(values[f"{key}_file"])
            found = _content(str(path.parent / other))
            parts[key] = found if isinstance(found, str) else read(other, found)
        if not isinstance(parts[key], str):
            raise ConfigError(f"the prompt {name}: {key} is not a text")
    return _made(str(values.get("name") or name), path, parts["user"], parts["system"], values)


def _made(name: str, path: Path, user: str, system: str, values: Mapping[str, Any], *signs: str) -> FieldPrompt:
    """The prompt; what ``values`` do not say of the verdict is read from what it asks for."""
    said = "\n".join((system, user, *signs))
    stated, ties = values.get("verdict"), values.get("ties")
    if stated is None:
        formats = [form for form, marks in _SIGNS if any(mark in said for mark in marks)]
        if not formats or not (system or any(mark in user for _, marks in _SIGNS for mark in marks)):
            raise ConfigError(
                f"the prompt {name} does not say how the verdict is written, such as [[A]]: if that is in another text, write a "
                "YAML file with system and user_file, or give it a verdict"
            )
    else:
        formats = [_format(name, each) for each in (stated if isinstance(stated, list) else [stated])]
    if ties is not None and not isinstance(ties, bool):
        raise ConfigError(f"the prompt {name}: ties is {ties!r}, and must be true or false")
    known = any(form in dict(_SIGNS) for form in formats)
    allowed = any(mark.lower() in said.lower() for mark in _TIES) if ties is None and known else ties is not False
    return FieldPrompt(
        name=name, user=_filled(name, user, values.get("fill")), system=system, formats=tuple(formats), ties=allowed
    )


def _format(name: str, stated: object) -> VerdictFormat:
    try:
        return VerdictFormat(str(stated))
    except ValueError:
        known = ", ".join(VerdictFormat)
        raise ConfigError(f"the prompt {name} has the verdict {stated!r}: take one of {known}") from None


def _filled(name: str, user: str, fill: object) -> str:
    """The text with further places filled."""
    if fill is None:
        return user
    if not isinstance(fill, dict) or not all(isinstance(each, str) for each in fill.values()):
        raise ConfigError(f"the prompt {name}: fill must give a text for each place")
    for place, text in fill.items():
        mark = f"{{{place}}}"
        if mark not in user:
            raise ConfigError(f"the prompt {name} fills {mark}, which is not in its user text: leave it out")
        user = user.replace(mark, text.replace("{", "{{").replace("}", "}}"))
    return user
