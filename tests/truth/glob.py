"""Patterns in which only `*` is special: node ids and endpoints have brackets of their own."""

from __future__ import annotations

import re


def matches(pattern: str, text: str) -> bool:
    """Whether a whole text is what a pattern says; `*` is any text."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
