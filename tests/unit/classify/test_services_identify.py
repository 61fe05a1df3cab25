from __future__ import annotations

from pathlib import Path

import pytest

from tracer.classify.services.config import load_config
from tracer.classify.services.identify import Identifier
from tracer.classify.services.paths import RequestPath
from tracer.classify.services.protocols import recognise
from tracer.trace.endpoint import Endpoint

REDIS = b"*1\r\n$4\r\nPING\r\n"
HTTP = b"GET / HTTP/1.1\r\n"
AMQP = b"AMQP\0\0\x09\x01"
LOOPBACK_RULES = ("four", "127.0.0.1"), ("six", "::1")

RULES = """
[services.local-db]
ports = [5432]
hosts = ["localhost"]

[services.cloud-db]
ports = [5432, "15432-15440"]
hosts = ["10.0.0.0/8", "*.RDS.amazonaws.com", "::ffff:192.0.2.0/120", "fd00::7"]

[services.appliance]
hosts = ["192.168.*"]

[services.internal-bus]
hosts = ["172.16.0.0/12"]
protocol = "amqp"

[services.agent]
unix = ["@agent-*", "/run/agent/*.sock"]

[services.web]
protocol = "http"

[services.jupyter]
ports = [8888]

[services.noise]
ports = [9999]
ignore = true

[services.bigtable]
"""


@pytest.fixture(scope="module")
def identifier(tmp_path_factory: pytest.TempPathFactory) -> Identifier:
    path = tmp_path_factory.mktemp("configuration") / "svc-trace.toml"
    path.write_text(RULES)
    return Identifier(load_config(path, path.parent))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Identifier:
    directory = tmp_path_factory.mktemp("empty")
    (directory / ".git").mkdir()
    return Identifier(load_config(None, directory))


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("tcp://127.0.0.1:5432", "local-db"),
        ("tcp://127.5.5.5:5432", "local-db"),
        ("tcp://[::1]:5432", "local-db"),
        ("tcp://10.1.2.3:5432", "cloud-db"),
        ("tcp://10.1.2.3:15440", "cloud-db"),
        ("tcp://10.1.2.3:15441", None),
        ("tcp://127.0.0.1:15440", None),
        ("tcp://main.eu.rds.amazonaws.com:5432", "cloud-db"),
        ("tcp://192.0.2.200:5432", "cloud-db"),  # the network was given as IPv4-mapped IPv6
        ("tcp://192.0.3.200:5432", "postgres"),
        ("tcp://[fd00::7]:5432", "cloud-db"),
        ("tcp://8.8.8.8:5432", "postgres"),  # no rule of the file is about this host: the preset's
        ("tcp://192.168.7.7:1", "appliance"),  # hosts without ports: every port
        ("udp://192.168.7.7:65535", "appliance"),
        ("tcp://172.16.0.1:4000", None),  # hosts with a protocol: only when the bytes say so
        ("tcp://172.16.0.1:5672", "rabbitmq"),
        ("unix://@agent-7", "agent"),
        ("unix:///run/agent/a/b.sock", "agent"),
        ("unix:///run/agent/a", None),
        ("tcp://127.0.0.1:8888", "jupyter"),  # before the preset's objectstore
        ("tcp://127.0.0.1:8086", None),  # turned off by an empty table
        ("tcp://127.0.0.1:7003", "redis-cluster"),
        ("unix://", None),
    ],
)
def test_by_the_endpoint_itself(identifier: Identifier, endpoint: str, service: str | None) -> None:
    found = identifier.service_of(Endpoint.parse(endpoint))
    assert (found.name, found.protocol, found.ignored) == (service or f"unknown:{endpoint}", None, False)


@pytest.mark.parametrize(
    ("endpoint", "opening", "service", "protocol"),
    [
        ("tcp://127.0.0.1:49153", REDIS, "redis", "redis"),
        ("unix:///tmp/x/redis.sock", REDIS, "redis", "redis"),
        ("tcp://127.0.0.1:7003", REDIS, "redis-cluster", "redis"),  # the port's rule beats the protocol's
        ("tcp://127.0.0.1:6379", HTTP, "redis", "http"),
        ("tcp://127.0.0.1:49153", HTTP, "web", "http"),
        ("tcp://172.16.0.1:4000", AMQP, "internal-bus", "amqp"),
        ("tcp://8.8.8.8:4000", AMQP, "rabbitmq", "amqp"),  # other hosts: the preset's
        ("unix:///tmp/amqp", AMQP, "rabbitmq", "amqp"),  # a unix socket is at no host
        ("tcp://127.0.0.1:49153", b"EHLO x", "smtp", "smtp"),
        ("tcp://127.0.0.1:49153", b"PRI * HTTP/2.0\r\n", None, "http2"),
        ("tcp://127.0.0.1:49153", b"?", None, None),
    ],
)
def test_by_protocol(
    identifier: Identifier, endpoint: str, opening: bytes, service: str | None, protocol: str | None
) -> None:
    found = identifier.service_of(Endpoint.parse(endpoint), recognise([b"", opening]))
    assert (found.name, found.protocol, found.ignored) == (service or f"unknown:{endpoint}", protocol, False)


def test_one_endpoint_may_speak_several_protocols_in_turn(identifier: Identifier) -> None:
    endpoint = Endpoint.parse("tcp://127.0.0.1:49999")
    names = [identifier.service_of(endpoint, protocol).name for protocol in ("redis", None, "http", "redis")]
    assert names == ["redis", f"unknown:{endpoint}", "web", "redis"]


NAMED = """
[services.search]
hosts = ["search.*"]

[services.s3]
hosts = ["*.amazonaws.com", "10.0.0.9"]

[services.api]
hosts = ["API.example.com", "10.0.0.0/8"]
protocol = "http"

[services.api-admin]
ports = [8443]
hosts = ["admin.example.com"]
protocol = "http"

[services.bus]
hosts = ["bus.internal"]
protocol = "amqp"
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Identifier:
    path = tmp_path_factory.mktemp("named") / "svc-trace.toml"
    path.write_text(NAMED)
    return Identifier(load_config(path, path.parent))


@pytest.mark.parametrize(
    ("endpoint", "protocol", "host", "service"),
    [
        ("tcp://192.0.2.1:443", "tls", "search.internal", "search"),
        ("tcp://192.0.2.1:80", "http", "search.internal", "search"),
        ("tcp://192.0.2.1:9200", "http", "search.internal", "search"),  # not the preset's elasticsearch
        ("tcp://192.0.2.1:9200", None, "search.internal", "search"),
        ("tcp://192.0.2.1:9200", "http", "logs.internal", "elasticsearch"),
        ("tcp://192.0.2.1:443", "tls", "b.s3.amazonaws.com", "s3"),
        ("tcp://10.0.0.9:443", "tls", "minio.internal", "s3"),  # by the address
        ("tcp://192.0.2.1:443", "tls", "amazonaws.com", None),
        ("tcp://192.0.2.1:9999", "http", "api.example.com", "api"),
        ("tcp://192.0.2.1:9200", "http", "api.example.com", "api"),
        ("tcp://192.0.2.1:443", "tls", "api.example.com", "api"),  # TLS hides HTTP
        ("udp://192.0.2.1:443", "quic", "api.example.com", "api"),
        ("tcp://192.0.2.1:443", None, "api.example.com", "api"),  # refused, for example
        ("tcp://192.0.2.1:4443", None, "api.example.com", None),
        ("tcp://10.1.1.1:443", None, "other.example.com", None),
        ("tcp://192.0.2.1:9999", "redis", "api.example.com", "redis"),
        ("tcp://10.1.1.1:443", "tls", "other.example.com", None),  # in the rule's network: may be no HTTP
        ("tcp://10.1.1.1:80", "http", "other.example.com", "api"),
        ("tcp://192.0.2.1:443", "tls", "admin.example.com", "api-admin"),  # its protocol, on any port
        ("tcp://192.0.2.1:8443", None, "admin.example.com", "api-admin"),
        ("tcp://192.0.2.1:5671", "tls", "bus.internal", "rabbitmq"),  # TLS may hide any protocol but HTTP
        ("tcp://192.0.2.1:9200", "amqp", "bus.internal", "bus"),
    ],
)
def test_by_the_name_of_the_host(
    named: Identifier, endpoint: str, protocol: str | None, host: str, service: str | None
) -> None:
    found = named.service_of(Endpoint.parse(endpoint), protocol, host)
    assert (found.name if service else found.name.partition(":")[0]) == (service or "unknown")
    assert (found.protocol, found.host) == (protocol, host)


@pytest.mark.parametrize(
    ("endpoint", "protocol", "name"),
    [
        ("tcp://192.0.2.1:443", "tls", "https://a.example.com"),
        ("udp://192.0.2.1:443", "quic", "https://a.example.com"),
        ("tcp://192.0.2.1:443", None, "https://a.example.com"),  # refused, for example
        ("tcp://192.0.2.1:443", "http", "http://a.example.com:443"),
        ("tcp://192.0.2.1:4443", "tls", "tcp://a.example.com:4443"),
        ("tcp://192.0.2.1:80", "http", "http://a.example.com"),
        ("tcp://192.0.2.1:80", None, "http://a.example.com"),
        ("tcp://192.0.2.1:80", "tls", "tcp://a.example.com:80"),
        ("udp://192.0.2.1:80", None, "udp://a.example.com:80"),
        ("udp://192.0.2.1:443", None, "udp://a.example.com:443"),
        ("tcp://[2001:db8::1]:8080", "http", "http://a.example.com:8080"),
        ("tcp://192.0.2.1:50051", "http2", "http://a.example.com:50051"),
        ("tcp://192.0.2.1:5433", None, "tcp://a.example.com:5433"),
        ("udp://192.0.2.1:5433", None, "udp://a.example.com:5433"),
    ],
)
def test_an_unknown_service_has_the_name_of_its_host(
    plain: Identifier, endpoint: str, protocol: str | None, name: str
) -> None:
    parsed = Endpoint.parse(endpoint)
    assert plain.service_of(parsed, protocol, "a.example.com").name == f"unknown:{name}"
    assert plain.service_of(parsed, protocol, "a.example.com", self_hosted=True).name == f"unknown:{endpoint}"
    assert plain.service_of(parsed, protocol).name == f"unknown:{endpoint}"


PATHS = """
[services.bulk]
paths = ["/_bulk", "/_search"]

[services.users]
hosts = ["gateway.*"]
paths = ["/users"]

[services.orders]
ports = [8080]
protocol = "http"
paths = ["/orders"]

[services.engine]
unix = ["*/docker.sock"]
paths = ["/v1"]

[services.gateway]
hosts = ["gateway.*"]
"""


@pytest.fixture(scope="module")
def by_path(tmp_path_factory: pytest.TempPathFactory) -> Identifier:
    path = tmp_path_factory.mktemp("paths") / "svc-trace.toml"
    path.write_text(PATHS)
    return Identifier(load_config(path, path.parent))


@pytest.mark.parametrize(
    ("endpoint", "host", "path", "service"),
    [
        ("tcp://10.0.0.1:9200", None, "/_bulk", "bulk"),  # before the preset's elasticsearch
        ("tcp://10.0.0.1:9200", None, "/_cat", "elasticsearch"),
        ("tcp://10.0.0.1:9200", None, None, "elasticsearch"),
        ("tcp://10.0.0.1:80", None, "/_search?q=a", "bulk"),
        ("tcp://10.0.0.1:80", None, "/other", None),
        ("tcp://10.0.0.1:80", "gateway.internal", "/users/7", "users"),
        ("tcp://10.0.0.1:80", "gateway.internal", "/_bulk", "bulk"),  # the first rule
        ("tcp://10.0.0.1:80", "gateway.internal", "/other", "gateway"),
        ("tcp://10.0.0.1:443", "gateway.internal", None, "gateway"),  # TLS hides the path
        ("tcp://10.0.0.1:80", "other.internal", "/users", None),
        ("tcp://10.0.0.1:8080", None, "/orders/1", "orders"),
        ("tcp://10.0.0.1:8081", None, "/orders/1", None),  # all keys must match, also the port
        ("unix:///run/docker.sock", None, "/v1.41/info", "engine"),
        ("unix:///run/docker.sock", None, "/info", "docker"),
        ("unix:///run/docker.sock", None, "/_bulk", "bulk"),
        ("unix:///run/docker.sock", None, "/users", "docker"),  # a unix socket is at no host
        ("tcp://10.0.0.1:80", None, "/v1.41/info", None),
    ],
)
def test_by_the_path_of_the_request(
    by_path: Identifier, endpoint: str, host: str | None, path: str | None, service: str | None
) -> None:
    requests = () if path is None else (RequestPath(path, is_cut=False),)
    found = by_path.service_of(Endpoint.parse(endpoint), "http" if path else None, host, requests)
    assert (found.name if service else found.name.partition(":")[0]) == (service or "unknown")


def test_rules_without_paths_need_none(by_path: Identifier, plain: Identifier) -> None:
    assert (by_path.needs_paths, plain.needs_paths) == (True, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.0/8", "127.*", "::1", "localhost"])
def test_a_rule_for_127_0_0_1_applies_to_1(host: str, tmp_path: Path) -> None:
    path = tmp_path / "svc-trace.toml"
    path.write_text(f'[services.cache]\nports = [7777]\nhosts = ["{host}"]')
    identifier = Identifier(load_config(path, tmp_path))
    found = {host: identifier.service_of(Endpoint("tcp", host, 7777)).name for host in ("127.0.0.1", "::1", "10.0.0.1")}
    v4 = "unknown:tcp://127.0.0.1:7777" if host == "::1" else "cache"
    assert found == {"127.0.0.1": v4, "::1": "cache", "10.0.0.1": "unknown:tcp://10.0.0.1:7777"}


def test_a_rule_for_1_must_stand_before_that_for_127_0_0_1(tmp_path: Path) -> None:
    rules = {name: f'[services.{name}]\nports = [7777]\nhosts = ["{host}"]\n' for name, host in LOOPBACK_RULES}
    found = {}
    for order in (("six", "four"), ("four", "six")):
        path = tmp_path / "svc-trace.toml"
        path.write_text("".join(rules[name] for name in order))
        identifier = Identifier(load_config(path, tmp_path))
        found[order[0]] = [identifier.service_of(Endpoint("tcp", host, 7777)).name for host in ("::1", "127.0.0.1")]
    assert found == {"six": ["six", "four"], "four": ["four", "four"]}


def test_an_ignored_service_is_still_named(identifier: Identifier) -> None:
    found = identifier.service_of(Endpoint.parse("tcp://127.0.0.1:9999"), "http")
    assert (found.name, found.protocol, found.ignored) == ("noise", "http", True)


@pytest.mark.parametrize(
    "path",
    [
        "/run/nscd/socket",
        "/var/run/nscd/socket",
        "/var/lib/sss/pipes/nss",
        "/run/systemd/userdb/io.systemd.DynamicUser",
        "/run/systemd/resolve/io.systemd.Resolve",
        "/run/systemd/journal/socket",
        "/run/systemd/journal/dev-log",
        "/run/systemd/journal.web/socket",
        "/run/user/1000/systemd/notify",
        "/dev/log",
        "/var/lib/samba/winbindd_privileged/pipe",
        "/run/authd.sock",
        "/run/uuidd/request",
        "/var/run/uuidd/request",
        "/run/.heim_org.h5l.kcm-socket",
        "/var/run/.heim_org.h5l.kcm-socket",
        "/run/gssproxy.default.sock",
        "/var/lib/gssproxy/default.sock",
        "/run/abrt/abrt.socket",
    ],
)
def test_plumbing_is_ignored_by_default(plain: Identifier, path: str) -> None:
    assert plain.service_of(Endpoint("unix", path=path)).ignored


@pytest.mark.parametrize("path", ["/run/dbus/system_bus_socket", "/run/pcscd/pcscd.comm", "/tmp/uuidd/request"])
def test_other_sockets_of_the_system_are_not_ignored(plain: Identifier, path: str) -> None:
    assert not plain.service_of(Endpoint("unix", path=path)).ignored


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("unix:///var/run/postgresql/.s.PGSQL.5432", "postgres"),
        ("unix:///run/mysqld/mysqld.sock", "mysql"),
        ("unix:///tmp/mongodb-27017.sock", "mongodb"),
        ("unix:///run/docker.sock", "docker"),
        ("tcp://10.0.0.1:1218", "snuba"),
        ("tcp://10.0.0.1:3021", "symbolicator"),
        ("tcp://10.0.0.1:8086", "bigtable"),
        ("tcp://10.0.0.1:8888", "objectstore"),
        ("tcp://10.0.0.1:6379", "redis"),
        ("tcp://10.0.0.1:7000", "redis-cluster"),
        ("tcp://10.0.0.1:7005", "redis-cluster"),
        ("tcp://10.0.0.1:9092", "kafka"),
        ("udp://127.0.0.1:8125", "statsd"),
        ("udp://127.0.0.53:53", "dns"),
        ("tcp://10.0.0.1:7006", "unknown:tcp://10.0.0.1:7006"),
        ("unix:///tmp/.X11-unix/X0", "unknown:unix:///tmp/.X11-unix/X0"),
    ],
)
def test_the_default_preset(plain: Identifier, endpoint: str, service: str) -> None:
    found = plain.service_of(Endpoint.parse(endpoint))
    assert (found.name, found.protocol, found.ignored) == (service, None, False)


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("s3.amazonaws.com", "s3"),
        ("s3.eu-west-1.amazonaws.com", "s3"),
        ("s3-us-west-2.amazonaws.com", "s3"),
        ("s3.dualstack.eu-west-1.amazonaws.com", "s3"),
        ("bucket.s3.amazonaws.com", "s3"),
        ("my.bucket.s3.eu-west-1.amazonaws.com", "s3"),
        ("bucket.s3-us-west-2.amazonaws.com", "s3"),
        ("bucket.s3.cn-north-1.amazonaws.com.cn", "s3"),
        ("sqs.eu-west-1.amazonaws.com", None),
        ("s3.eu-west-1.example.com", None),
        ("s3x.amazonaws.com", None),
        ("s3.evilamazonaws.com", None),
    ],
)
def test_the_hosts_of_the_default_preset(plain: Identifier, host: str, service: str | None) -> None:
    found = plain.service_of(Endpoint("tcp", "192.0.2.1", 443), "tls", host)
    assert found.name == (service or f"unknown:https://{host}")
