"""Names that do not exist: an error that names the nearest one that does."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

import click

from tracer.reports.text import first

_CUTOFF: Final = 0.65
"""The least ratio (`difflib`) of two names that are near: `rum` is near `run`, `doctest` is not near `doctor`."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one; None: no name is near."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=_CUTOFF)), None)


def check_names(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Do nothing if all names are known.

    Raises:
        click.UsageError: one is not known; names the nearest, or all if none is near.
    """
    known = list(dict.fromkeys(known))
    for name in names:
        if name not in known:
            near = nearest(name, known)
            suggestion = f"Did you mean {near!r}?" if near else f"The {kind}s are: {first(known, 10)}."
            raise click.UsageError(f"There is no {kind} {name!r}. {suggestion}")
