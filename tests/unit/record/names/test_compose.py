from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.names.compose import Declared, Published, declared_in, published_by, published_in, service_at
from tracer.trace.endpoint import Endpoint

SHOP = """
x-ports: &common
  ports: ["1000:1000"]
services:
  db:
    image: postgres:16
    ports:
      - "${DB_PORT:-15432}:5432"
      - 127.0.0.1:5433:5433/udp
  cache:
    <<: *common
    ports:
      - target: 6379
        published: "6379"
        host_ip: 127.0.0.1
        protocol: tcp
        mode: host
      - {target: 6380, published: 6380}
      - {target: 6381}
  web:
    <<: *common
    ports: !override
      - "3000"
      - 22:22
      - "8000-8002:80"
      - "[::1]:9000-9001:9000-9001"
      - "127.0.0.1::5000"
      - 7000
  copy:
    <<: [*common]
  worker: {image: shop}
  none:
"""


def one(service: str, first: int, last: int = 0, *, host: str = "", protocol: str = "tcp") -> Published:
    return Published(service, protocol, host, first, last or first)


def test_the_ports_of_a_file() -> None:
    assert published_in(SHOP, {"DB_PORT": "25432"}) == [
        one("db", 25432),
        one("db", 5433, host="127.0.0.1", protocol="udp"),
        one("cache", 6379, host="127.0.0.1"),
        one("cache", 6380),
        one("web", 22),
        one("web", 8000, 8002),
        one("web", 9000, 9001, host="::1"),
        one("copy", 1000),
    ]


def test_the_services_of_a_file() -> None:
    text = """
services:
  db: {image: "postgres:${VERSION:-16}", ports: ["5432", "127.0.0.1::5433", "15432:5434/udp", {target: 5435}]}
  web: {build: ., ports: [{target: 80, published: "8080"}, "9000-9001:90-91"]}
  worker:
"""
    db, web, worker = declared_in(text, {})
    assert db == Declared("db", "postgres:16", (one("db", 15432, protocol="udp"),), (5432, 5433, 5434, 5435))
    assert web == Declared("web", "", (one("web", 8080), one("web", 9000, 9001)), (80, 90))
    assert worker == Declared("worker", "", (), ())


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("tcp://127.0.0.1:15432", "db"),
        ("tcp://[::1]:15432", "db"),
        ("udp://[::1]:5433", "db"),
        ("tcp://127.0.0.1:5433", ""),
        ("tcp://127.0.0.1:8001", "web"),
        ("tcp://127.0.0.1:8003", ""),
        ("tcp://192.0.2.1:15432", "db"),
        ("tcp://192.0.2.1:6379", ""),
    ],
)
def test_the_service_at_an_endpoint(endpoint: str, service: str) -> None:
    assert service_at(published_in(SHOP, {}), Endpoint.parse(endpoint), local=True) == service


def test_two_services_at_one_port_are_none() -> None:
    """A profile chooses one of them."""
    text = "services:\n  a: {ports: ['80:80']}\n  b: {ports: ['80-81:80']}\n"
    names = [service_at(published_in(text, {}), Endpoint("tcp", "127.0.0.1", port), local=True) for port in (80, 81)]
    assert names == ["", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "services:",
        "services: []",
        "services: {db: 1}",
        "services: {db: {ports: {a: b}}}",
        "services: {db: {ports: [[1], {}, {published: [1]}, null, '1:', ':1', 'x:1', '1-:1', '-1:1', '1:1/TCP']}}",
        "services: {'a b': {ports: ['80:80']}, [1]: {ports: ['80:80']}}",
        "services: &a {db: *a}",
        "services: {<<: *none}",
        "services: {a: {ports: ['80:80']}}\n---\nservices: {}",
        f"services: {{a: {{ports: ['{'8' * 300}:80']}}}}",
        "services: !!python/object:os.system {db: {}}",
        'x: "\\UFFFFFFFF"',
        "a: b: c",
        "\0",
        "- a\n- b",
    ],
)
def test_what_publishes_nothing(text: str) -> None:
    assert published_in(text, {}) == []


@given(
    st.text()
    | st.lists(
        st.sampled_from(["services:", "ports:", "{", "[", "&a ", "*a", "<<: ", "- ", "\n", " ", "80:80", "a: "])
    ).map("".join)
)
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(published_in(text, {}), list)


def doubled(first: str, form: str, last: str) -> str:
    """Each line has the one before it twice."""
    lines = [form.format(before=number - 1, number=number) for number in range(1, 40)]
    return "\n".join([first, *lines, last])


def services(number: int, ports: str) -> str:
    return "services:\n" + "".join(f" s{one}: {{ports: {ports}}}\n" for one in range(number))


@pytest.mark.parametrize(
    "text",
    [
        *(opening * 60_000 for opening in ("[", "{a: ", "- ", "? ", "!!map {")),
        doubled("a0: &a0 [x]", "a{number}: &a{number} [*a{before}, *a{before}]", "services: {s: {ports: *a39}}"),
        doubled("a0: &a0 {b: x}", "a{number}: &a{number} {{<<: [*a{before}, *a{before}]}}", "services: {s: *a39}"),
        "p: &p [" + "'1:1'," * 30_000 + "]\n" + services(2000, "*p"),
        services(8000, "['1:1']"),
    ],
)
def test_a_hostile_file_takes_bounded_time_and_memory(text: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    began = time.process_time()
    published_by(tmp_path, {})
    assert time.process_time() - began < 20


def write(path: Path, service: str, port: int | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"services: {{{service}: {{ports: ['{port}:1']}}}}")


def test_the_nearest_file_with_its_override_is_used(tmp_path: Path) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    write(tmp_path / "docker-compose.yml", "outside", 1)
    write(tmp_path / "shop" / "docker-compose.yaml", "ignored", 2)
    write(tmp_path / "shop" / "docker-compose.yml", "shop", "${PORT}")
    write(tmp_path / "shop" / "docker-compose.override.yml", "added", 4)
    (tmp_path / "shop" / ".env").write_text("PORT=3")
    (tmp_path / "shop" / "tests" / "unit").mkdir(parents=True)
    expected = [one("shop", 3), one("added", 4)]
    for directory in ("shop", "shop/tests/unit"):
        assert published_by(tmp_path / directory, {}) == expected
    assert published_by(tmp_path / "shop", {"PORT": "5"}) == [one("shop", 5), one("added", 4)]


def test_outside_of_a_repository_only_the_directory_itself_counts(tmp_path: Path) -> None:
    """Above it, such as in /tmp, files may be another user's."""
    write(tmp_path / "compose.yaml", "db", 1)
    (tmp_path / "below").mkdir()
    assert published_by(tmp_path, {}) == [one("db", 1)]
    assert published_by(tmp_path / "below", {}) == []


@pytest.mark.parametrize("by_file", [True, False])
def test_the_files_that_the_user_names(tmp_path: Path, by_file: bool) -> None:
    write(tmp_path / "compose.yaml", "ignored", 1)
    write(tmp_path / "ci" / "a.yml", "a", 2)
    write(tmp_path / "b.yml", "b", 3)
    named = {"COMPOSE_FILE": f"ci/a.yml;{tmp_path}/b.yml;none.yml;", "COMPOSE_PATH_SEPARATOR": ";"}
    if by_file:
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in named.items()))
        named = {}
    assert published_by(tmp_path, named) == [one("a", 2), one("b", 3)]


@pytest.mark.parametrize("kind", ["fifo", "directory", "large", "binary", "forbidden above"])
def test_a_file_that_cannot_be_read_publishes_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "compose.yaml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "large":
        path.write_text("services: {db: {ports: ['80:80']}}\n" + "#" * (1 << 18))
    elif kind == "binary":
        path.write_bytes(b"services: {db: {ports: ['80:80']}} # \xff")
    assert published_by(path / "none" if kind == "forbidden above" else tmp_path, {}) == []
