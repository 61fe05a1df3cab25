"""Patterns in which only `*` is special, because node ids and endpoints contain brackets."""

from __future__ import annotations

import re


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches the pattern. `*` stands for any text."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
