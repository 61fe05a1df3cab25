"""What counts as the name of a host, whatever its source."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}")
"""Labels of letters, digits, hyphens and underscores, which container names have. Source: RFC 1035, 2.3.1 and 2.3.4."""
_LONGEST: Final = 253
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""No top-level domain is a number: a text that ends in one is an IPv4 address, perhaps in a short form such as `127.1`.
Source: RFC 3696, 2; https://url.spec.whatwg.org/#ends-in-a-number-checker."""


def host_name(text: str) -> str:
    """A host's name in the form that records have: in lower case, without the dot at its end.

    Empty if the text is no such name: an IP address, a name with other characters, or a name of the machine itself
    (`localhost` and all names below it, RFC 6761, 6.3).
    """
    text = text.removesuffix(".")
    if len(text) > _LONGEST or not _NAME.fullmatch(text):
        return ""
    name = text.lower()
    last = name.rpartition(".")[2]
    return "" if last == "localhost" or _NUMBER.fullmatch(last) else name
