"""What `--only` and `--without` refuse: by the rules, and where earlier reports met the services."""

from __future__ import annotations

import socket
from contextlib import closing
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import pytest
from msgspec.structs import replace
from suites import classification, evidence, result

from tracer.classify.model import Classification
from tracer.classify.services.config import Config, load_config
from tracer.classify.services.rules import Rules
from tracer.commands.refusals import other_services, plan_refusal
from tracer.record.refusal.targets import PROTOCOLS, Target
from tracer.trace.endpoint import Endpoint

TCP, UDP = frozenset({"tcp"}), frozenset({"udp"})
LOOPBACK = ("127.0.0.1/32", "::1/128")


def configuration(tmp_path: Path, text: str = "") -> Config:
    file = tmp_path / "svc-trace.toml"
    file.write_text(text)
    return load_config(file, tmp_path)


def target(network: str | None, first: int, last: int | None = None, protocols: frozenset[str] = TCP) -> Target:
    return Target(None if network is None else ip_network(network), range(first, (last or first) + 1), protocols)


def met(*places: tuple[str, str], self_hosted: bool = False) -> Classification:
    """A report of a run that met services at endpoints."""
    found = tuple(
        replace(evidence(service), endpoint=Endpoint.parse(endpoint), self_hosted=self_hosted)
        for service, endpoint in places
    )
    return classification({"a.py::x": replace(result(), evidence=found)}, (), Rules())


def test_ports_are_refused_at_all_addresses_by_tcp(tmp_path: Path) -> None:
    planned = plan_refusal(["kafka"], configuration(tmp_path))
    assert planned.refusal.targets == (target(None, 9092, 9094),)
    assert planned.refusal.services == {target(None, 9092, 9094): "kafka"}
    assert planned.services == ("kafka",)
    assert [*planned.lines()] == []


def test_udp_is_refused_only_if_the_service_speaks_it(tmp_path: Path) -> None:
    config = configuration(tmp_path, "[services.fast]\nports = [4433]\nprotocol = 'quic'\n")
    planned = plan_refusal(["statsd", "dns", "fast"], config)
    assert {*planned.refusal.targets} == {
        target(None, 8125, protocols=PROTOCOLS),
        target(None, 53, protocols=PROTOCOLS),
        target(None, 4433, protocols=UDP),
    }


def test_networks_of_a_rule(tmp_path: Path) -> None:
    text = "[services.mail]\nports = ['1025-1026']\nhosts = ['10.1.0.0/16', 'localhost', 'mail.internal']\n"
    planned = plan_refusal(["mail"], configuration(tmp_path, text))
    assert {*planned.refusal.targets} == {
        target(network, 1025, 1026) for network in ("10.1.0.0/16", "127.0.0.0/8", "::1/128")
    }


def test_a_network_without_ports_is_refused_at_all_ports(tmp_path: Path) -> None:
    planned = plan_refusal(["legacy"], configuration(tmp_path, "[services.legacy]\nhosts = ['192.0.2.1']\n"))
    assert planned.refusal.targets == (Target(IPv4Network("192.0.2.1/32"), None, TCP),)


@pytest.mark.parametrize(
    "rule",
    [
        "hosts = ['api.stripe.com']",
        "hosts = ['api.stripe.com']\nports = [443]",
        "protocol = 'kafka'",
        "hosts = ['localhost']\nprotocol = 'kafka'",
        "ports = [8000]\npaths = ['/payments/']",
    ],
)
def test_what_the_rules_alone_do_not_locate_is_named_before_the_run(tmp_path: Path, rule: str) -> None:
    config = configuration(tmp_path, f"[services.payments]\n{rule}\n")
    planned = plan_refusal(["payments", "redis"], config)
    assert {*planned.refusal.services.values()} == {"redis"}
    assert planned.unknown == ("payments",)
    (line,) = planned.lines()
    assert line.endswith("payments")
    reported = plan_refusal(["payments"], config, [met(("payments", "tcp://93.184.216.34:8443"))])
    assert reported.unknown == ()
    assert reported.refusal.services == {target("93.184.216.34", 8443): "payments"}


def test_where_reports_met_a_service(tmp_path: Path) -> None:
    """At localhost: both addresses. What their runs hosted is not refused."""
    places = [("kafka", "tcp://127.0.0.1:49153"), ("kafka", "unix:///run/none.sock"), ("statsd", "udp://10.0.0.1:8125")]
    places += [("smtp", "tcp://10.0.0.2:25"), ("unknown:tcp://10.0.0.3:77", "tcp://10.0.0.3:77")]
    reports = [met(*places), met(("kafka", "tcp://127.0.0.1:50000"), self_hosted=True)]
    planned = plan_refusal(["kafka", "statsd", "unknown:tcp://10.0.0.3:77"], configuration(tmp_path), reports)
    assert {*planned.refusal.targets} == {
        target(None, 9092, 9094),
        target(None, 8125, protocols=PROTOCOLS),
        *(target(host, 49153) for host in LOOPBACK),
        target("10.0.0.1", 8125, protocols=UDP),
        target("10.0.0.3", 77),
    }
    assert planned.refusal.paths == {"/run/none.sock"}


def test_all_endpoints_without_a_name(tmp_path: Path) -> None:
    reports = [met(("unknown:tcp://10.0.0.3:77", "tcp://10.0.0.3:77"), ("redis", "tcp://127.0.0.1:6379"))]
    planned = plan_refusal(["(unknown)"], configuration(tmp_path), reports)
    assert planned.refusal.targets == (target("10.0.0.3", 77),)
    assert planned.unknown == ()


def test_the_first_rule_that_matches_counts(tmp_path: Path) -> None:
    """A rule of the configuration stands before the preset's."""
    config = configuration(tmp_path, "[services.billing]\nports = [6379]\nhosts = ['10.0.0.5']\n")
    billing = target("10.0.0.5", 6379)
    kept = plan_refusal(["redis"], config).refusal
    assert target(None, 6379) in kept.targets
    assert replace(billing, protocols=PROTOCOLS) in kept.except_
    refused = plan_refusal(["billing"], config).refusal
    assert refused.targets == (billing,)
    inside = [
        one
        for one in refused.except_
        if one.ports
        and 6379 in one.ports
        and (one.network is None or IPv4Network("10.0.0.5").overlaps(one.network))
        and not isinstance(one.network, IPv6Network)
    ]
    assert inside == []
    beside = [one.network for one in refused.except_ if one.network and one.ports == range(6379, 6380)]
    assert len([one for one in beside if one.version == 4]) == 32


def test_ranges_of_ports_that_overlap(tmp_path: Path) -> None:
    config = configuration(tmp_path, "[services.first]\nports = ['7001-7002']\n")
    planned = plan_refusal(["first"], config).refusal
    assert {one.ports for one in planned.except_ if one.ports and 6999 < one.ports.start < 7006} == {
        range(7000, 7001),
        range(7003, 7006),
    }


def test_a_gateway_that_a_kept_service_shares_is_not_refused(tmp_path: Path) -> None:
    text = "[services.orders]\npaths = ['/orders/']\n[services.carts]\npaths = ['/carts/']\n"
    reports = [met(("orders", "tcp://10.0.0.9:80"), ("carts", "tcp://10.0.0.9:80"))]
    config = configuration(tmp_path, text)
    planned = plan_refusal(["carts"], config, reports)
    assert planned.refusal.targets == ()
    assert planned.unknown == ("carts",)
    assert plan_refusal(["carts", "orders"], config, reports).refusal.targets == (target("10.0.0.9", 80),)


@pytest.mark.parametrize("name", ["/s/.s.PGSQL.5432", "@svc-trace-test"])
def test_unix_sockets_that_are_served_now(tmp_path: Path, name: str) -> None:
    path = name if name.startswith("@") else f"{tmp_path}/.s.PGSQL.5432"
    config = configuration(tmp_path, f"[services.database]\nunix = ['{tmp_path}/*', '@svc-trace-*']\n")
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path.replace("@", "\0"))
        server.listen()
        planned = plan_refusal(["database"], config)
        others = plan_refusal(["postgres"], config)
    assert planned.refusal.paths == {path}
    assert planned.refusal.services == {path: "database"}
    assert path not in others.refusal.paths
    assert plan_refusal(["database"], config).unknown == ()  # none is served


def test_everything_but_some_services(tmp_path: Path) -> None:
    plumbing, own = f"{tmp_path}/plumbing.sock", f"{tmp_path}/.s.PGSQL.5432"
    text = f"[services.names]\nunix = ['{plumbing}']\nignore = true\n[services.api]\nprotocol = 'http'\n"
    config = configuration(tmp_path, text)
    reports = [met(("postgres", "tcp://127.0.0.1:49153"), ("unknown:tcp://10.0.0.3:77", "tcp://10.0.0.3:77"))]
    with closing(socket.socket(socket.AF_UNIX)) as one, closing(socket.socket(socket.AF_UNIX)) as other:
        for server, path in ((one, plumbing), (other, own)):
            server.bind(path)
            server.listen()
        planned = plan_refusal(other_services({"postgres", "api"}, config), config, reports, everything=True)
    refusal = planned.refusal
    assert refusal.everything
    assert {plumbing, own} <= refusal.except_paths
    assert target(None, 5432, protocols=PROTOCOLS) in refusal.except_
    assert target("127.0.0.1", 49153) in refusal.except_
    assert target("10.0.0.3", 77) not in refusal.except_
    assert all(one.network is not None or one.ports != range(65536) for one in refusal.except_)
    assert any(one.network and one.ports == range(53, 54) for one in refusal.except_)  # name servers
    assert planned.unknown == ()
    assert planned.out_of_reach == ("api",)


def test_other_services_are_without_plumbing(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    others = other_services({"postgres", "redis"}, config)
    assert {"kafka", "zeromq", "s3"} <= others
    assert others.isdisjoint({"postgres", "redis", "name-service", "system-log", "dns"})
    assert other_services((), config) == others | {"postgres", "redis"}
