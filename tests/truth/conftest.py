"""The peers of the scenarios, and the configuration that names them."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest
import services

from tracer.trace.endpoint import Endpoint
from truth.peers import certified
from truth.received import Received
from truth.runs import Surroundings
from truth.servers import mosquitto, serving

collect_ignore = ["scenarios", "suite"]  # test_truth.py runs them in child processes

Rules = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def bare_runs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The directory with the results of bare runs, for all workers of this session, or of several (`--bare-runs`)."""
    own = tmp_path_factory.getbasetemp()
    named: Path | None = request.config.getoption("--bare-runs")
    directory = named or (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "bare"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def plain() -> Iterator[Surroundings]:
    """The plain peers, in their own process."""
    with serving("peers.py") as (addresses, ask):
        peers = json.loads(addresses).items()
        rules = {name: _plain_rule(peer["address"]) for name, peer in peers if name.isidentifier()}
        yield Surroundings({"TRUTH_PEERS": addresses.strip()}, _configuration(rules), partial(_received, ask))


@pytest.fixture(scope="session")
def with_servers(plain: Surroundings, shop_services: dict[str, str]) -> Surroundings:
    """The plain peers and the real servers."""
    rules: Rules = {
        "postgres": {
            "ports": [int(shop_services["SHOP_POSTGRES_PORT"])],
            "unix": [f"{shop_services['SHOP_POSTGRES_SOCKET_DIR']}/.s.PGSQL.*"],
        },
        "redis": _rule_of_urls(shop_services["SHOP_REDIS_URL"]),
        "kafka": _rule_of_urls(*(f"//{broker}" for broker in shop_services["SHOP_KAFKA_BOOTSTRAP"].split(","))),
        "search": _rule_of_urls(shop_services["SHOP_SEARCH_URL"]),
    }
    return _added(plain, shop_services, rules)


@pytest.fixture(scope="session")
def with_postgres_tls(plain: Surroundings) -> Iterator[Surroundings]:
    """The plain peers, and a real PostgreSQL that speaks TLS."""
    with _certified_directory() as (directory, certificate, key):
        if account := services.unprivileged_account():
            shutil.chown(key, account["user"], account["group"])
        settings = {"ssl": "on", "ssl_key_file": key, "ssl_cert_file": certificate}
        with services.postgres(directory, settings) as addresses:
            rules: Rules = {"postgres": {"ports": [int(addresses["SHOP_POSTGRES_PORT"])]}}
            yield _added(plain, addresses, rules)


@pytest.fixture(scope="session")
def certificate() -> Iterator[tuple[Path, Path]]:
    """The paths of a server's certificate and its key."""
    with _certified_directory() as (_, certificate, key):
        yield certificate, key


@pytest.fixture(scope="session")
def grpc_server(certificate: tuple[Path, Path]) -> Iterator[dict[str, str]]:
    """A real gRPC server in its own process. Yields the environment variables with its addresses."""
    with serving("grpc_server.py", *map(str, certificate)) as (line, _):
        addresses = json.loads(line)
        yield {
            "TRUTH_GRPC": addresses["plain"],
            "TRUTH_GRPC_TLS": addresses["tls"],
            "TRUTH_CERTIFICATE": str(certificate[0]),
        }


@pytest.fixture(scope="session")
def with_grpc(plain: Surroundings, grpc_server: dict[str, str]) -> Surroundings:
    """The plain peers, and the gRPC server."""
    return _added(plain, grpc_server, _rules_of_grpc(grpc_server))


@pytest.fixture(scope="session")
def with_many(
    with_servers: Surroundings,
    shop_services: dict[str, str],
    grpc_server: dict[str, str],
    certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Surroundings]:
    """The plain peers, and nearly all servers; some also behind a proxy, as NAME_tls."""
    directory = tmp_path_factory.mktemp("servers")
    kafka = shop_services["SHOP_KAFKA_BOOTSTRAP"].split(",")
    behind = {name: [urlsplit(shop_services[f"SHOP_{name.upper()}_URL"]).netloc] for name in ("redis", "search")}
    with (
        mosquitto(directory) as mqtt,
        serving("small_servers.py") as (small, _),
    ):
        own = {name: [address] for name, address in {"mqtt": mqtt, **json.loads(small)}.items()}
        behind |= own
        plain_addresses = [address for addresses in behind.values() for address in addresses]
        with serving("tls_proxy.py", *map(str, certificate), *plain_addresses, "--kafka", *kafka) as (line, _):
            proxied = json.loads(line)
            over_tls = {
                f"{name}_tls": [proxied[address] for address in addresses]
                for name, addresses in {**behind, "kafka": kafka}.items()
            }
            added = {**own, **over_tls}
            environment = {f"TRUTH_{name.upper()}": addresses[0] for name, addresses in added.items()}
            rules = {name: _rule_of_urls(*(f"//{one}" for one in addresses)) for name, addresses in added.items()}
            yield _added(with_servers, {**grpc_server, **environment}, {**_rules_of_grpc(grpc_server), **rules})


def _rules_of_grpc(addresses: Mapping[str, str]) -> Rules:
    names = {"grpc": "TRUTH_GRPC", "grpc_tls": "TRUTH_GRPC_TLS"}
    return {service: _rule_of_urls(f"//{addresses[name]}") for service, name in names.items()}


def _added(plain: Surroundings, environment: Mapping[str, str], rules: Rules) -> Surroundings:
    """The plain peers, and other servers."""
    configuration = plain.configuration + _configuration(rules)
    return replace(plain, environment={**plain.environment, **environment}, configuration=configuration)


def _received(ask: Callable[[], str]) -> Received:
    """What has arrived at the plain peers so far."""
    counts = Counter[tuple[Endpoint, str]]()
    families = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}
    for kind, address, connections, size in json.loads(ask()):
        if isinstance(address, str):
            endpoint = Endpoint("unix", path=address.replace("\0", "@"))
        else:
            endpoint = Endpoint(families[kind], *address)
        if kind != socket.SOCK_DGRAM:
            counts[endpoint, "connections"] += connections
        counts[endpoint, "bytes"] += size
    return counts


@contextmanager
def _certified_directory() -> Iterator[tuple[Path, Path, Path]]:
    """A directory that servers of other users can read, and the paths of a certificate and its key in it."""
    with TemporaryDirectory(prefix="truth-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        certified(directory)
        yield directory, directory / "certificate.pem", directory / "key.pem"


def _plain_rule(address: str | list[Any]) -> dict[str, Any]:
    if isinstance(address, str):
        return {"unix": [address.replace("\0", "@")]}
    host, port = address
    return {"ports": [port], "hosts": [host.removeprefix("::ffff:")]}


def _rule_of_urls(*urls: str) -> dict[str, Any]:
    return {"ports": [urlsplit(url).port for url in urls]}


def _configuration(rules: Rules) -> str:
    """The rules as TOML, which has the strings, numbers and lists of JSON."""
    return "".join(
        f"\n[services.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in rule.items())
        for name, rule in rules.items()
    )
