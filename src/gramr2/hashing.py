"""Content hashes: the same content has the same hash on every machine and in every version."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def text_hash(text: str, size: int) -> str:
    """``2 * size`` hex digits over a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def digest_of(rows: Any) -> str:
    """24 hex digits over rows, or anything that JSON can express."""
    text = json.dumps(rows, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
