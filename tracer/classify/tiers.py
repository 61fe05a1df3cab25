"""Tiers: groups of tests by the services they use."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from tracer.classify.services.rules import Tier

UNTIERED: Final = "other"
"""The tier of tests that fit no tier of the configuration."""


_PRESET: Final = (
    Tier("no_services", within=frozenset()),
    Tier("postgres_only", within=frozenset({"postgres"})),
    Tier("snuba_tier", any=frozenset({"snuba"})),
    Tier("other_services"),
)
"""The tiers of the preset `default`, also in reports of older versions."""


def chosen_tiers(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """The tiers that pages show: those of a report's rules, unless they are only the preset's, which no user chose."""
    return () if tiers == _PRESET else tiers


def tier_of(services: Collection[str], tiers: Iterable[Tier]) -> str:
    """The name of the first tier that fits; `UNTIERED` if none does.

    A tier with `within` fits tests that use no other service. A tier with `any` fits tests that use at least one of
    these services. A tier with both requires both; a tier with neither fits every test.
    """
    for tier in tiers:
        if (tier.within is None or tier.within.issuperset(services)) and (
            tier.any is None or not tier.any.isdisjoint(services)
        ):
            return tier.name
    return UNTIERED
