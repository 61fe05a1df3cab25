"""A report, classified again by another configuration."""

from __future__ import annotations

from pathlib import Path

import suites
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tracer.classify.model import Classification
from tracer.classify.reclassification import reclassify
from tracer.classify.services.config import Config, load_config
from tracer.classify.services.rules import Rules
from tracer.trace.endpoint import Endpoint

SEEN = suites.evidence("postgres")  # at 127.0.0.1:5432
BILLING = replace(suites.evidence("unknown:tcp://10.0.0.1:7070"), endpoint=Endpoint("tcp", "10.0.0.1", 7070))
TESTS = {
    "a.py::x": suites.result(["postgres"], evidence=[SEEN]),
    "a.py::y": suites.result(
        [BILLING.service], ["postgres"], ambient=["postgres"], evidence=[BILLING, replace(SEEN, how="ambient")]
    ),
}


def one() -> Classification:
    return suites.classification(TESTS, (), Rules(), run_evidence=[suites.at_start("postgres")])


def configured(directory: Path, text: str) -> Config:
    (directory / "svc-trace.toml").write_text(text)
    return load_config(directory / "svc-trace.toml", directory)


def test_new_and_renamed_services_tiers_and_rules(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        '[services.billing]\nports = [7070]\n[services.orders-db]\nports = [5432]\nprotocol = "postgres"\n'
        '[[tiers]]\nname = "bill"\nany = ["billing"]\n[[tiers]]\nname = "rest"\n',
    )
    found = reclassify(one(), config)
    assert found.tests["a.py::x"].services == ("orders-db",)
    assert (found.tests["a.py::y"].services, found.tests["a.py::y"].ambient) == (("billing",), ("orders-db",))
    assert found.run_needs == {"orders-db": (".",)}
    assert found.summary.tiers == {"bill": 1, "rest": 1}
    assert found.rules == config.rules


def test_ignored_endpoints_leave_the_report(tmp_path: Path) -> None:
    found = reclassify(one(), configured(tmp_path, "[services.plumbing]\nports = [5432]\nignore = true\n"))
    assert found.tests["a.py::x"].evidence == ()
    assert found.run_needs == {}


def test_a_service_that_paths_decide_stays_where_it_is_possible(tmp_path: Path) -> None:
    config = configured(
        tmp_path, '[services.users]\nports = [7070]\npaths = ["/users"]\n[services.gateway]\nports = [7070]\n'
    )
    users = replace(BILLING, service="users")
    tests = {
        "a.py::x": suites.result(["users"], evidence=[users]),
        "a.py::y": suites.result([BILLING.service], evidence=[BILLING]),
    }
    found = reclassify(suites.classification(tests, (), Rules()), config)
    assert {nodeid: test.services for nodeid, test in found.tests.items()} == {
        "a.py::x": ("users",),
        "a.py::y": ("gateway",),
    }


@given(st.lists(st.sampled_from(["direct", "inherited", "ambient", "goodbye"]), max_size=4), st.booleans())
def test_the_same_configuration_changes_nothing(hows: list[str], self_hosted: bool) -> None:
    config = load_config(None, Path("/"))
    known = [replace(SEEN, how=how, self_hosted=self_hosted) for how in hows]
    external = [] if self_hosted else known
    services = {"postgres"} if any(each.is_need for each in external) else set()
    ambient = {"postgres"} if any(each.how == "ambient" for each in external) else set()
    test = suites.result(
        sorted(services),
        ambient=sorted(ambient - services),
        self_hosted=["postgres"] if known and self_hosted else [],
        evidence=known,
    )
    report = suites.classification({"a.py::x": test}, (), config.rules)
    assert reclassify(report, config) == report
