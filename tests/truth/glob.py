"""Patterns in which only `*` is special, because node ids and endpoints contain brackets."""

from __future__ import annotations

import re


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches the pattern. `*` stands for any text."""
    return _match(pattern, text) is not None


def first_part(pattern: str, text: str) -> str:
    """What the first `*` of a pattern stands for in a text that matches it: as little as possible."""
    match = _match(pattern, text)
    assert match
    return str(match[1]) if "*" in pattern else ""


def _match(pattern: str, text: str) -> re.Match[str] | None:
    return re.fullmatch("(.*?)".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
