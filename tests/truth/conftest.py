"""The peers of the scenarios, and the configuration that names them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
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
    with _serving("peers.py") as (addresses, ask):
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
def with_grpc(plain: Surroundings) -> Iterator[Surroundings]:
    """The plain peers, and a real gRPC server in its own process."""
    with (
        _certified_directory() as (_, certificate, key),
        _serving("grpc_server.py", str(certificate), str(key)) as (line, _),
    ):
        addresses = json.loads(line)
        environment = {
            "TRUTH_GRPC": addresses["plain"],
            "TRUTH_GRPC_TLS": addresses["tls"],
            "TRUTH_GRPC_CERTIFICATE": str(certificate),
        }
        rules = {
            "grpc": _rule_of_urls(f"//{addresses['plain']}"),
            "grpc_tls": _rule_of_urls(f"//{addresses['tls']}"),
        }
        yield _added(plain, environment, rules)


def _added(plain: Surroundings, environment: Mapping[str, str], rules: Rules) -> Surroundings:
    """The plain peers, and other servers."""
    configuration = plain.configuration + _configuration(rules)
    return replace(plain, environment={**plain.environment, **environment}, configuration=configuration)


@contextmanager
def _serving(script: str, *arguments: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """The line that one of the servers beside this file prints, and a function that requests a further line.

    It serves until its stdin ends.
    """
    server = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        requests, lines = process.stdin, process.stdout

        def ask() -> str:
            requests.write("\n")
            requests.flush()
            return lines.readline()

        yield lines.readline(), ask


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
