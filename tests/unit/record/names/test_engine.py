from __future__ import annotations

import socket
from pathlib import Path

import pytest
from engine_stand_in import RECORDED, engine_at

from tracer.record.names.containers import Container
from tracer.record.names.engine import Engine, sockets_of

SECOND_NS = 1_000_000_000


def answered(engine: Engine) -> list[Container] | None:
    """What it answers in the end."""
    containers = None
    while engine.is_asked and containers is None:
        engine.wait(60)
        containers = engine.answer(1)
    return containers


def test_an_engine_answers(tmp_path: Path) -> None:
    with engine_at(tmp_path / "s", *[RECORDED.read_bytes()] * 2) as requests:
        engine = Engine([str(tmp_path / "none"), str(tmp_path / "s"), str(tmp_path / "other")])
        assert not engine.is_asked
        for _ in range(2):
            assert engine.ask(0)
            assert [container.name for container in answered(engine) or ()] == ["postgres", "db"]
        assert engine.is_known
    assert requests == [b"GET /containers/json HTTP/1.0\r\nHost: docker\r\nAccept: application/json\r\n\r\n"] * 2


@pytest.mark.parametrize("kind", ["missing", "file", "not listening", "long", "odd"])
def test_without_an_engine_nothing_is_asked(tmp_path: Path, kind: str) -> None:
    path = {"long": "/" + "x" * 200, "odd": "\ud800"}.get(kind, str(tmp_path / "s"))
    if kind == "file":
        Path(path).touch()
    elif kind == "not listening":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
    engine = Engine([path])
    assert not engine.ask(0)
    assert not engine.is_known
    assert engine.answer(0) is None


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 Error\r\n\r\n", b"x" * (9 << 20)])
def test_an_engine_with_a_wrong_answer_is_asked_no_more(tmp_path: Path, answer: bytes) -> None:
    with engine_at(tmp_path / "s", answer):
        engine = Engine([str(tmp_path / "s")])
        assert engine.ask(0)
        assert answered(engine) is None
        assert not engine.is_known
        assert not engine.ask(0)


def test_an_engine_that_does_not_answer_is_asked_no_more(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        engine = Engine([str(tmp_path / "s")])
        assert engine.ask(0)
        assert (engine.answer(4 * SECOND_NS), engine.is_asked, engine.is_known) == (None, True, True)
        assert (engine.answer(6 * SECOND_NS), engine.is_asked, engine.is_known) == (None, False, False)


def test_an_engine_whose_queue_is_full_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(str(tmp_path / "s"))
        server.listen(0)
        waiting.connect(str(tmp_path / "s"))
        assert not Engine([str(tmp_path / "s")]).ask(0)


@pytest.mark.parametrize(
    ("environment", "sockets"),
    [
        ({}, ["/run/user/7/docker.sock", "/run/user/7/podman/podman.sock"]),
        ({"XDG_RUNTIME_DIR": "/x", "DOCKER_HOST": ""}, ["/x/docker.sock", "/x/podman/podman.sock"]),
    ],
)
def test_where_an_engine_may_be(environment: dict[str, str], sockets: list[str]) -> None:
    assert sockets_of(environment, 7) == ["/var/run/docker.sock", *sockets, "/run/podman/podman.sock"]


@pytest.mark.parametrize(
    ("host", "sockets"), [("unix:///a/b", ["/a/b"]), ("tcp://docker:2375", []), ("ssh://me@host", []), ("none", [])]
)
def test_the_variable_that_says_where_it_is(host: str, sockets: list[str]) -> None:
    assert sockets_of({"DOCKER_HOST": host}, 7) == sockets
