"""Names of hosts in whole runs, from a container engine and from Compose files.

A process outside of the run stands in for the engine and for a container's published port. Its answers are as Docker's;
the unit tests have recorded ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from launched import User, new_user

pytestmark = pytest.mark.kernel

TRACER = (sys.executable, "-m", "tracer", "-q")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
OUTSIDE = """
import json, os, socket, struct, sys
from pathlib import Path
from threading import Event, Thread

def serve(server, answer):
    while True:
        client, _ = server.accept()
        Thread(target=answer, args=(client,)).start()

def echo(client):
    answered.wait(10)  # the suite does not end before the engine has answered
    with client:
        while data := client.recv(100):
            client.sendall(data)

def list_containers(client):
    with client:
        client.recv(1000)
        pid, uid, gid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        asked.append(uid)
        port = {"IP": "0.0.0.0", "PrivatePort": 5432, "PublicPort": published.getsockname()[1], "Type": "tcp"}
        labels = {"com.docker.compose.service": "db"}
        body = json.dumps([{"Names": ["/shop-db-1"], "Ports": [port], "Labels": labels}])
        client.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Type: application/json\\r\\n\\r\\n" + body.encode())
    answered.set()

name, engine_path, hangs = sys.argv[1:]
Path("/proc/self/comm").write_text(name)
asked = []
answered = Event()
if hangs:  # or nobody asks
    answered.set()
published = socket.create_server(("127.0.0.1", 0))
Thread(target=serve, args=(published, echo), daemon=True).start()
engine = socket.socket(socket.AF_UNIX)
engine.bind(engine_path)
os.chmod(engine_path, 0o777)
engine.listen()
if not hangs:
    Thread(target=serve, args=(engine, list_containers), daemon=True).start()
print(published.getsockname()[1], flush=True)
sys.stdin.read()
print(json.dumps(asked))
os._exit(0)
"""
SUITE = """
import os, socket

def test_it():
    with socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))) as connection:
        connection.sendall(b"ours")
        assert connection.recv(100) == b"ours"
"""


class Outside:
    """A process outside of the run: a container's published port, and the engine that knows it."""

    def __init__(self, process: subprocess.Popen[str], socket: Path) -> None:
        assert process.stdout
        self._process = process
        self.port = int(process.stdout.readline())
        self.environment = {"PORT": str(self.port), "DOCKER_HOST": f"unix://{socket}"}

    def asked(self) -> list[int]:
        """End it. Returns the users that have asked the engine."""
        return list(json.loads(self._process.communicate("")[0]))


@contextmanager
def outside(directory: Path, name: str = "docker-proxy", *, hangs: bool = False) -> Iterator[Outside]:
    """`name`: of the process that listens at the port. It answers after the engine, unless that one hangs.

    An engine that hangs accepts no connection.
    """
    path = directory / "engine"
    command = (sys.executable, "-c", OUTSIDE, name, str(path), "1" if hangs else "")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Outside(process, path)
        process.kill()


def evidence_of(project: Path, backend: str, environment: dict[str, str]) -> dict[str, Any]:
    """The evidence of the suite's test."""
    (project / "test_it.py").write_text(SUITE)
    command = (*TRACER, "--backend", backend, "--", *PYTEST)
    subprocess.run(command, cwd=project, env=os.environ | environment, check=True, capture_output=True)
    report = json.loads((project / "svc-trace.json").read_text())
    assert report["run"]["complete"]
    (evidence,) = report["tests"]["test_it.py::test_it"]["evidence"]
    return dict(evidence)


def test_a_published_port_has_the_name_of_its_container(backend: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {wrong: {ports: ['1-65535:1']}}")
    with outside(tmp_path) as other:
        evidence = evidence_of(tmp_path, backend, other.environment)
        assert other.asked() == [os.getuid()]
    assert evidence["host"] == "db"
    assert evidence["service"] == f"unknown:tcp://db:{other.port}"
    assert evidence["endpoint"] == f"tcp://127.0.0.1:{other.port}"


@pytest.mark.parametrize(("listener", "host"), [("docker-proxy", "db"), ("postgres", None)])
def test_without_an_engine_a_compose_file_names_the_port_unless_another_program_listens(
    listener: str, host: str | None, tmp_path: Path
) -> None:
    (tmp_path / "compose.yaml").write_text("services: {db: {ports: ['${PORT}:5432']}}")
    with outside(tmp_path, listener, hangs=True) as other:
        evidence = evidence_of(tmp_path, "libbpf", other.environment | {"DOCKER_HOST": "unix:///none"})
    assert evidence.get("host") == host


def test_an_engine_that_hangs_holds_nothing_up(backend: str, tmp_path: Path) -> None:
    with outside(tmp_path, hangs=True) as other:
        evidence = evidence_of(tmp_path, backend, other.environment)
        assert other.asked() == []
    assert "host" not in evidence
    assert evidence["sends"] == 1


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


def test_the_engine_is_asked_as_the_user(user: User) -> None:
    """Root may ask any engine; the user only those that the user may use."""
    code = "import os, socket; socket.create_connection(('127.0.0.1', int(os.environ['PORT']))).sendall(b'ours')"
    with outside(user.home) as other:
        command = ("sudo", "-n", "--preserve-env=PORT,DOCKER_HOST", user.program, "-q", "--", "python", "-c", code)
        done = user.run(*command, env=user.environment | other.environment)
        assert done.returncode == 0, done.stderr
        assert other.asked() == [user.uid]
