from __future__ import annotations

from pathlib import Path

import pytest

from tracer.classify.plan.start_ups import start_up_costs
from tracer.classify.services.config import load_config
from tracer.errors import SvcTraceError


def test_measured_costs_are_no_guesses() -> None:
    costs = start_up_costs(["snuba", "postgres", "s3", "mine", "(unknown)"], {"snuba": 270.0})
    assert costs.seconds["snuba"] == 270
    assert costs.guessed == ("postgres", "mine")
    assert costs.seconds["s3"] == costs.seconds["(unknown)"] == 0


def test_the_preset_has_a_guess_for_each_of_its_services() -> None:
    services = [name for name, rule in load_config(None, Path("/")).services.items() if not rule.ignore]
    costs = start_up_costs(services, {})
    other = start_up_costs(["a service of a project's own"], {})
    assert set(costs.guessed) | {"s3", "docker", "dns", "dbus"} == set(services)
    assert other.seconds["a service of a project's own"] > 0


def test_a_cost_keeps_the_presets_rule_and_its_place(tmp_path: Path) -> None:
    preset = load_config(None, tmp_path).services
    (tmp_path / "svc-trace.toml").write_text("[services.redis]\nstart_up_s = 1.5\n[services.own]\nports = [1]\n")
    services = load_config(None, tmp_path).services
    assert services["redis"].start_up_s == 1.5
    assert services["redis"].ports == preset["redis"].ports
    assert list(services) == ["own", *preset]


def test_a_rule_of_the_files_own_keeps_nothing_of_the_preset(tmp_path: Path) -> None:
    (tmp_path / "svc-trace.toml").write_text("[services.redis]\nstart_up_s = 1.5\nports = [7]\n")
    assert load_config(None, tmp_path).services["redis"].protocol is None


@pytest.mark.parametrize("text", ["[services.postgress]\nstart_up_s = 1", "[services.redis]\nstart_up_s = -1"])
def test_a_wrong_cost_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "svc-trace.toml").write_text(text)
    with pytest.raises(SvcTraceError) as caught:
        load_config(None, tmp_path)
    assert caught.value.slug == "config-invalid"
    assert "post" not in text or "`postgres`" in str(caught.value)
