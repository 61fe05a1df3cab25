"""Tiers: groups of tests by the services they use."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from tracer.classify.services.config import Tier

UNTIERED: Final = "other"
"""The tier of a test that fits none of the configuration's."""


def tier_of(services: Collection[str], tiers: Iterable[Tier]) -> str:
    """The name of the first tier that fits; `UNTIERED` where none does.

    A tier with `within` takes tests that use no other service, one with `any` tests that use at least one of them,
    one with both asks for both, and one with neither takes every test.
    """
    for tier in tiers:
        if (tier.within is None or tier.within.issuperset(services)) and (
            tier.any is None or not tier.any.isdisjoint(services)
        ):
            return tier.name
    return UNTIERED
