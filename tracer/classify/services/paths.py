"""Paths of HTTP/1 requests, as far as the recorded first bytes of a send show them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from tracer.classify.services.protocols.web import METHODS

LONGEST: Final = 24
"""A connection's first sends are known to 32 bytes, of which the method and a blank take up to 8, as in OPTIONS."""
_FEWEST: Final = 8
"""Later sends are known to 16 bytes. A path that is cut off before so many characters could be any."""

# A target in origin or absolute form. Source: RFC 9112, 3.2.1 and 3.2.2.
_REQUEST: Final = re.compile(METHODS + rb" (?:https?://[^/?#\s]*)?(/\S*)(\s?)")


class RequestPath(NamedTuple):
    """The path of a request, with its query, or the beginning of both."""

    text: str
    is_cut: bool  # the bytes do not show its end


@lru_cache(maxsize=1 << 14)
def path_in(send: bytes) -> RequestPath | None:
    """The path of the request with which a send begins; None: it begins with no request, or shows too little of it."""
    match = _REQUEST.match(send)
    if match is None:
        return None
    path = RequestPath(match[1].decode("latin-1"), not match[2])
    return None if path.is_cut and len(path.text) < _FEWEST else path


def first_path(sends: Iterable[bytes]) -> RequestPath | None:
    """The path of the first request among some sends; None: they contain none."""
    return next((path for send in sends if (path := path_in(send)) is not None), None)


def begins_with(path: RequestPath, prefixes: Collection[str]) -> bool | None:
    """Whether a path begins with one of these; None: it is cut off, and may."""
    if any(path.text.startswith(prefix) for prefix in prefixes):
        return True
    return None if path.is_cut and any(prefix.startswith(path.text) for prefix in prefixes) else False
