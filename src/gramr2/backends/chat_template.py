"""A model's chat template, which is a program that comes with the weights: run with a time limit, and its errors reported."""

from __future__ import annotations

import ctypes
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gramr2.comparison import Message
from gramr2.errors import ModelError, reason_of
from gramr2.hashing import text_hash

SECONDS = 10.0
"""a template takes milliseconds; one that takes this long has a loop without an end"""
TODAY = datetime(2024, 7, 26)
"""the date for templates that ask for one. The real one would give a judge another prompt every day. This one stands in Llama
3.2's own template, for where it cannot ask."""
_DATE = re.compile(r"\bstrftime_now\(\s*(['\"])(.*?)\1\s*\)")
_HOLE = "\ue000{}\ue001"


def dated(template: str) -> str:
    """A chat template with ``TODAY`` wherever it asks for the date."""
    return _DATE.sub(lambda match: json.dumps(TODAY.strftime(match[2])), template)


def mark_of(options: Mapping[str, Any]) -> str:
    """What the id of a model says of the variables for its template; nothing if there are none."""
    return f"+chat-{text_hash(json.dumps(options, sort_keys=True, default=str), 4)}" if options else ""


class _Stopped(BaseException):
    """Raised inside a template that takes too long; templates and jinja catch only ``Exception``."""


def frame_of(tokenizer: Any, roles: Sequence[str], options: dict[str, Any], *, answering: bool = True) -> list[str]:
    """What a template writes before, between and after the contents of turns with these roles.

    Templates read a content as a text; one that only reads a list of parts gets that.

    Args:
        tokenizer: has the template.
        roles: of the turns.
        options: extra variables for the template.
        answering: whether the text ends where an answer begins; else the last turn is closed as the template closes it.

    Raises:
        ModelError: the template fails, takes too long, or drops, repeats or reorders contents.
    """
    return _framed(tokenizer, roles, options, answering)[0]


def conversation_of(tokenizer: Any, turns: Sequence[Message], options: dict[str, Any]) -> str:
    """A whole conversation as the template writes it, nothing left to be answered. Raises as ``frame_of`` does."""
    roles, contents = [turn.role for turn in turns], [turn.content for turn in turns]
    _, parts = _framed(tokenizer, roles, options, answering=False)
    return _render(tokenizer, roles, _in_parts(contents) if parts else contents, options, answering=False)


def _framed(tokenizer: Any, roles: Sequence[str], options: dict[str, Any], answering: bool) -> tuple[list[str], bool]:
    """See ``frame_of``; also whether the template reads lists of parts."""
    named = tokenizer.chat_template
    if isinstance(named, dict) and "default" not in named and "chat_template" not in options:
        names = ", ".join(sorted(named))
        raise ModelError(
            f"this model has several chat templates ({names}) and none is its default: name one of them default in "
            "tokenizer_config.json, or choose one with chat_template in model.chat_template_options"
        )
    holes = [_HOLE.format(index) for index in range(len(roles))]
    try:
        return _split(_render(tokenizer, roles, holes, options, answering), holes), False
    except ModelError as error:
        if isinstance(error, _TooLongError):
            raise
        try:
            pieces = _split(_render(tokenizer, roles, _in_parts(holes), options, answering), holes)
        except ModelError:
            raise error from None
        # A template that takes contents for texts writes the list itself.
        if any("'type'" in piece or '"type"' in piece for piece in pieces):
            raise
        return pieces, True


def _in_parts(contents: Sequence[str]) -> list[list[dict[str, str]]]:
    return [[{"type": "text", "text": content}] for content in contents]


class _TooLongError(ModelError):
    """The template did not end in time."""


def _render(
    tokenizer: Any, roles: Sequence[str], contents: Sequence[Any], options: dict[str, Any], answering: bool
) -> str:
    turns = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]
    named, wanted = tokenizer.chat_template, options.get("chat_template")
    template = named.get(wanted or "default", wanted) if isinstance(named, dict) else wanted or named
    if isinstance(template, str) and (fixed := dated(template)) != template:
        options = options | {"chat_template": fixed}

    def render() -> str:
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answering, **options)
        return text

    try:
        return _within_time(render)
    except ModelError:
        raise
    except Exception as error:
        # The template is foreign code: it can raise whatever Python can.
        raise ModelError(
            f"this model's chat template fails ({reason_of(error)}): mend the template in its folder, or use another model"
        ) from error


def _split(text: str, holes: Sequence[str]) -> list[str]:
    pieces: list[str] = []
    kept = True
    for hole in holes:
        before, found, text = text.partition(hole)
        pieces.append(before)
        kept = kept and bool(found)
    pieces.append(text)
    if not kept or any(hole in piece for piece in pieces for hole in holes):
        raise ModelError(
            "this model's chat template drops, repeats or reorders messages: use a model whose template keeps them"
        )
    return pieces


def _within_time(render: Callable[[], str]) -> str:
    """The result of ``render``, run in a thread of its own, since only a thread can be stopped from outside.

    Raises:
        ModelError: it took longer than ``SECONDS``.
    """
    found: list[str | Exception] = []

    def work() -> None:
        try:
            found.append(render())
        except Exception as error:  # noqa: BLE001
            # Raised again where the result is awaited.
            found.append(error)
        except _Stopped:
            pass

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stopped))
        raise _TooLongError(
            f"this model's chat template does not end within {SECONDS:g} seconds: mend the template in its folder, or use "
            "another model"
        )
    [result] = found
    if isinstance(result, Exception):
        raise result
    return result
