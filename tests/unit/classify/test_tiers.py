from __future__ import annotations

from pathlib import Path

import pytest

from tracer.classify.services.config import load_config
from tracer.classify.services.rules import Tier
from tracer.classify.tiers import chosen_tiers, tier_of

TIERS = (
    Tier("no_services", within=frozenset()),
    Tier("postgres_only", within=frozenset({"postgres"})),
    Tier("light_snuba", within=frozenset({"postgres", "snuba"}), any=frozenset({"snuba"})),
    Tier("snuba_tier", any=frozenset({"snuba", "symbolicator"})),
    Tier("other_services"),
)


@pytest.mark.parametrize(
    ("services", "tier"),
    [
        ((), "no_services"),
        (("postgres",), "postgres_only"),
        (("postgres", "snuba"), "light_snuba"),
        (("snuba",), "light_snuba"),
        (("redis", "snuba"), "snuba_tier"),
        (("symbolicator",), "snuba_tier"),
        (("postgres", "redis"), "other_services"),
        (("unknown:tcp://10.0.0.1:80",), "other_services"),
    ],
)
def test_the_first_tier_that_fits_takes_the_test(services: tuple[str, ...], tier: str) -> None:
    assert tier_of(services, TIERS) == tier


def test_a_test_that_no_tier_fits_is_in_other() -> None:
    assert tier_of(["redis"], TIERS[:4]) == "other"
    assert tier_of([], ()) == "other"


def test_the_order_of_tiers_decides() -> None:
    assert tier_of([], reversed(TIERS)) == "other_services"


def test_the_tiers_of_the_preset_default_are_not_chosen(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert chosen_tiers(load_config(None, tmp_path).rules.tiers) == ()
    (tmp_path / "svc-trace.toml").write_text("[services.billing]\nports = [7070]\n")
    assert chosen_tiers(load_config(None, tmp_path).rules.tiers) == ()
    for text in ('extends = ["django"]', '[[tiers]]\nname = "no_services"\nwithin = []'):
        (tmp_path / "svc-trace.toml").write_text(text)
        tiers = load_config(None, tmp_path).rules.tiers
        assert chosen_tiers(tiers) == tiers != ()
