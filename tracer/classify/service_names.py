"""Other names for services: some are renamed, and some are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

NewNames = Mapping[str, str]
"""Service → its other name; empty: it is left out."""


def renamed(services: Iterable[str], names: NewNames) -> frozenset[str]:
    """Some services by their other names; all others keep theirs."""
    return frozenset(filter(None, (names.get(service, service) for service in services)))
