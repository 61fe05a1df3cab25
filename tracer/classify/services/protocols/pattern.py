"""Matchers for protocols that begin with text or fixed bytes."""

from __future__ import annotations

import re
from collections.abc import Callable


def pattern(expression: bytes) -> Callable[[bytes], bool]:
    """A matcher for sends that begin with what a regular expression describes. A dot also matches a line's end."""
    match = re.compile(expression, re.DOTALL).match
    return lambda send: match(send) is not None
