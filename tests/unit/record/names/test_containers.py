"""Recorded answers: of Docker 20.10 and Podman 4.3, by `GET /containers/json` to engines that ran these containers.

Docker: shop-db-1 with Compose's labels (`-p 15432:5432 -p 127.0.0.1:15433:5433/udp`), and one as Testcontainers starts
it (`-P --expose 80`). Podman: cache (`-p 16379:6379`), and one without a name (`-p 127.0.0.1:16380:6379`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.names.containers import Container, containers_in, is_published_at, name_at
from tracer.trace.endpoint import Endpoint

ANSWERS = Path(__file__).with_name("answers")
OLD = {
    "Id": "8dfafdbc3a40",
    "Names": ["/web/db", "/Boring_Feynman"],
    "Image": "ubuntu:latest",
    "Ports": [{"PrivatePort": 2222, "PublicPort": 3333, "Type": "tcp"}],
    "Labels": None,
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"}}},
}
"""As in the documentation of version 1.24 of Docker's API, with an alias and an IPv6 address."""


def recorded(engine: str) -> list[Container]:
    containers = containers_in((ANSWERS / f"{engine}.http").read_bytes())
    assert containers
    return containers


def listed(*containers: dict[str, Any]) -> list[Container]:
    answer = containers_in(b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(containers).encode())
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("engine", "endpoint", "name"),
    [
        ("docker-20.10", "tcp://127.0.0.1:15432", "db"),
        ("docker-20.10", "tcp://[::1]:15432", "db"),
        ("docker-20.10", "udp://127.0.0.1:15433", "db"),
        ("docker-20.10", "udp://127.0.0.1:15432", ""),
        ("docker-20.10", "tcp://127.0.0.1:5432", ""),
        ("docker-20.10", "tcp://10.77.0.2:5432", "db"),
        ("docker-20.10", "tcp://10.77.0.2:9999", "db"),
        ("docker-20.10", "tcp://10.77.0.1:15432", "db"),  # the gateway is the machine
        ("docker-20.10", "tcp://10.77.0.9:15432", ""),
        ("docker-20.10", "tcp://127.0.0.1:32768", "postgres"),
        ("podman-4.3", "tcp://127.0.0.1:16379", "cache"),
        ("podman-4.3", "tcp://10.89.0.2:6379", "cache"),
        ("podman-4.3", "tcp://127.0.0.1:16380", "serene_bardeen"),
    ],
)
def test_names_in_recorded_answers(engine: str, endpoint: str, name: str) -> None:
    assert name_at(recorded(engine), Endpoint.parse(endpoint), local=False) == name


@pytest.mark.parametrize(
    ("endpoint", "local", "name"),
    [
        ("tcp://127.0.0.1:3333", True, "boring_feynman"),
        ("tcp://192.0.2.7:3333", True, "boring_feynman"),
        ("tcp://192.0.2.7:3333", False, ""),
        ("tcp://[fd00::2]:80", False, "boring_feynman"),
        ("tcp://127.0.0.1:0", True, ""),
    ],
)
def test_names_in_an_answer_of_an_old_engine(endpoint: str, local: bool, name: str) -> None:
    assert name_at(listed(OLD), Endpoint.parse(endpoint), local=local) == name


@pytest.mark.parametrize(
    ("names", "image", "label", "name"),
    [
        (["/x"], "", "com.docker.compose.service", "db_1"),
        (["/orders-db"], "postgres:16", "org.testcontainers.lang", "orders-db"),
        (["/brave_knuth3"], "r:5000/a/redis:7@sha256:0", "org.testcontainers", "redis"),
        (["/testcontainers-ryuk-0"], "testcontainers/ryuk:0.8", "org.testcontainers.lang", "ryuk"),
        (["/brave_knuth3"], "redis", "org.testcontainersx", "brave_knuth3"),
        (["/web/db", "/web"], "", "", "web"),
        (["/a b"], "", "", ""),
        (None, "redis", "", ""),
    ],
)
def test_the_name_of_a_container(names: list[str] | None, image: str, label: str, name: str) -> None:
    (one,) = listed({"Names": names, "Image": image, "Labels": {label: "Db_1"}})
    assert one.name == name


def test_a_container_of_which_nothing_is_known() -> None:
    (one,) = listed({})
    assert one.name == ""
    assert name_at([one], Endpoint("tcp", "127.0.0.1", 80), local=True) == ""


@pytest.mark.parametrize(
    ("host", "endpoint", "local", "is_published"),
    [
        ("0.0.0.0", "127.0.0.1", False, True),
        ("::", "192.0.2.1", True, True),
        ("", "192.0.2.1", False, False),
        ("127.0.0.1", "::1", True, True),
        ("127.0.0.1", "192.0.2.1", True, False),
        ("192.0.2.1", "192.0.2.1", False, True),
        ("192.0.2.1", "127.0.0.1", True, False),
        ("nonsense", "127.0.0.1", True, False),
    ],
)
def test_where_a_port_is_published(host: str, endpoint: str, local: bool, is_published: bool) -> None:
    assert is_published_at(host, Endpoint("tcp", endpoint, 80), local=local) == is_published


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*OLD, "IP", "PublicPort", "x"]), inner),
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(), st.booleans())
def test_no_answer_is_an_error(body: bytes, is_http: bool) -> None:
    containers = containers_in((b"HTTP/1.1 200 OK\r\n\r\n" if is_http else b"") + body)
    assert isinstance(name_at(containers or [], Endpoint("tcp", "127.0.0.1", 80), local=True), str)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 403 Forbidden\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n[" + b"[" * 100_000,
        b'HTTP/1.1 200 OK\r\n\r\n[{"Ports":[{"PublicPort":"80"}]}]',
    ],
)
def test_what_is_no_list_of_containers(answer: bytes) -> None:
    assert containers_in(answer) is None
