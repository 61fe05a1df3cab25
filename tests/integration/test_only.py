"""`svc-trace run --only`, the whole command: what is refused, to which processes, and that nothing is left of it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from kernel.leaks import mounts, unloading
from kernel.refusal.refused import hierarchy_root
from services import reserved_port

from tracer.errors import ExitStatus
from tracer.record.refusal.hierarchy import own_cgroup

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="only root can refuse services")]

SHOP: Final = Path(__file__).parents[2] / "examples" / "shop"
PARTS: Final = [f"tests/test_{name}.py" for name in ("cache", "cart", "catalogue", "outside", "pool", "search")]
"""Those that do not wait for Kafka: the example's clients try for ten seconds. `test_kafka` has quicker ones."""
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

SUITE: Final = """
import errno, os, socket

def test_tolerates():
    with open("cgroup", "w") as file:
        file.write(open("/proc/self/cgroup").read())
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", int(os.environ["REFUSED"]))) == errno.ECONNREFUSED
    with socket.socket(socket.AF_UNIX) as client:
        assert client.connect_ex(os.environ["REFUSED_PATH"]) == errno.ECONNREFUSED
    open("refused", "w").close()  # until the test outside has seen its client served
    open("served").close()

def test_its_own_server():
    with socket.create_server(("127.0.0.1", int(os.environ["OWN"]))):
        socket.create_connection(("127.0.0.1", int(os.environ["OWN"]))).close()
"""

KAFKA: Final = """
import os
from confluent_kafka import Producer

CONFIGURATION = {  # one broker: a client tries several in random order
    "bootstrap.servers": os.environ["SHOP_KAFKA_BOOTSTRAP"].partition(",")[0],
    "socket.connection.setup.timeout.ms": 1000,
    "message.timeout.ms": int(os.environ["MESSAGE_MS"]),
}

def send():
    errors = []
    producer = Producer(CONFIGURATION)
    producer.produce("orders", b"one", on_delivery=lambda error, _: errors.append(error))
    producer.flush(60)
    return errors

def test_waits():
    assert send() == [None]

def test_does_not_look_at_the_result():
    send()

def test_nothing():
    pass
"""

DATAGRAMS: Final = """
import socket

def test_statsd():
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        for _ in range(3):
            client.sendto(b"one:1|c", ("127.0.0.1", 8125))

def test_quic():
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 4433))
        client.send(b"1")
"""

Json = dict[str, Any]


def tracer(backend: str, *options: str) -> tuple[str, ...]:
    return sys.executable, "-m", "tracer", "--backend", backend, *options


def shop(services: dict[str, str], backend: str, report: Path, *arguments: str, only: tuple[str, ...] = ()) -> Json:
    """The report of a run of a part of the example suite."""
    command = (*tracer(backend, "-q", "-o", str(report), *only), "--", *PYTEST, *PARTS, *arguments)
    subprocess.run(command, cwd=SHOP, env=os.environ | services, check=not only, capture_output=True)
    found: Json = json.loads(report.read_text())
    return found


@pytest.fixture(scope="module")
def with_all(shop_services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with all services."""
    report = tmp_path_factory.mktemp("with_all") / "report.json"
    shop(shop_services, "auto", report)
    return report


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_example_with_one_service_only(
    shop_services: dict[str, str], with_all: Path, tmp_path: Path, backend: str, arguments: tuple[str, ...]
) -> None:
    """Tests that use another one try it, and the report says so; all others end as before."""
    only = ("--only", "postgres", "--against", str(with_all))
    report = shop(shop_services, backend, tmp_path / "report.json", *arguments, only=only)
    before = json.loads(with_all.read_text())["tests"]
    assert report["run"]["complete"]
    assert report["run"]["exit_status"] == 1
    refused = {one["service"] for one in report["run"]["refused"]}
    assert {"redis", "search", "statsd", "symbolicator"} <= refused
    assert "postgres" not in refused
    assert report["tests"].keys() == before.keys()
    for nodeid, test in report["tests"].items():
        used = refused.intersection(before[nodeid]["services"])
        assert test["services"] == before[nodeid]["services"], nodeid
        assert {service for service, use in report["refused"].items() if nodeid in use["tests"]} == used, nodeid
        assert {one["strength"] for one in test["evidence"] if one["service"] in used} <= {"attempted"}, nodeid
        if not used:
            assert test["outcome"] == before[nodeid]["outcome"], nodeid
    assert "error" in {test["outcome"] for test in report["tests"].values()}
    assert [use["reached"] for use in report["refused"].values()] == [[]] * len(report["refused"])


def test_no_service_at_all(shop_services: dict[str, str], with_all: Path, tmp_path: Path, backend: str) -> None:
    only = ("--only", "", "--against", str(with_all))
    report = shop(shop_services, backend, tmp_path / "report.json", "-k", "test_pool", only=only)
    assert "postgres" in report["refused"]
    assert {test["outcome"] for test in report["tests"].values()} == {"error"}


def test_kafka(shop_services: dict[str, str], tmp_path: Path, backend: str) -> None:
    """No rule has the port of its broker: a run with Kafka met it there. A client's own threads try again and again."""
    (tmp_path / "test_it.py").write_text(KAFKA)

    def run(*options: str) -> Json:
        command = (*tracer(backend, "-q", "-o", "report.json", *options), "--", *PYTEST)
        environment = os.environ | shop_services | {"MESSAGE_MS": "1000" if options else "60000"}
        subprocess.run(command, cwd=tmp_path, env=environment, check=not options, capture_output=True)
        found: Json = json.loads((tmp_path / "report.json").read_text())
        return found

    before = run()
    (tmp_path / "report.json").rename(tmp_path / "before.json")
    report = run("--only", "", "--against", "before.json")
    tests = ["test_it.py::test_does_not_look_at_the_result", "test_it.py::test_waits"]
    assert [nodeid for nodeid, test in sorted(before["tests"].items()) if test["services"] == ["kafka"]] == tests
    assert report["run"]["complete"]
    assert report["run"]["exit_status"] == 1
    assert {nodeid: test["outcome"] for nodeid, test in report["tests"].items()} == {
        tests[0]: "passed",
        tests[1]: "failed",
        "test_it.py::test_nothing": "passed",
    }
    use = report["refused"].pop("kafka")
    assert use.pop("attempts") >= 2
    assert use == {"tests": tests, "through": {"itself": 2}, "outside": 0, "reached": []}
    assert not report["refused"]
    assert {nodeid: test["services"] for nodeid, test in report["tests"].items()} == {
        nodeid: test["services"] for nodeid, test in before["tests"].items()
    }


class Served:
    """A suite that waits in a test, and servers outside of its tree that are refused to it, by TCP and at a path."""

    def __init__(self, directory: Path, servers: tuple[socket.socket, socket.socket], own: int) -> None:
        self.directory, self.servers = directory, servers
        (_, port), path = (server.getsockname() for server in servers)
        (directory / "test_it.py").write_text(SUITE)
        text = f"[services.cache]\nports = [{port}]\nunix = ['*/server.sock']\n[services.own]\nports = [{own}]\n"
        (directory / "svc-trace.toml").write_text(text)
        self.environment = {**os.environ, "REFUSED": str(port), "REFUSED_PATH": path, "OWN": str(own)}
        for gate in ("refused", "served"):
            os.mkfifo(directory / gate)

    @contextmanager
    def run(self, backend: str, *options: str) -> Iterator[subprocess.Popen[str]]:
        """A run that waits, after its test was refused the server."""
        command = (*tracer(backend, "--only", "postgres", *options), "--", *PYTEST)
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=self.directory, env=self.environment, stdout=pipe, stderr=pipe, text=True
        ) as run:
            (self.directory / "refused").open().close()
            yield run

    def answer(self) -> None:
        """Clients outside of the tree are served."""
        for server in self.servers:
            with socket.socket(server.family) as client:
                client.connect(server.getsockname())
                accepted, _ = server.accept()
                with accepted:
                    accepted.sendall(b"served")
                    assert client.recv(6) == b"served"

    def go_on(self) -> None:
        """Let the test that waits go on."""
        (self.directory / "served").open("w").close()

    @property
    def cgroup(self) -> Path:
        """The cgroup in which the test was."""
        return hierarchy_root() / own_cgroup((self.directory / "cgroup").read_text()).lstrip("/")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with (
        reserved_port() as own,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as at_a_path,
    ):
        at_a_path.bind(str(tmp_path / "server.sock"))
        at_a_path.listen()
        yield Served(tmp_path, (tcp, at_a_path), own)


@pytest.mark.parametrize(
    ("options", "status"), [((), 0), (("--fail-on", "refused"), ExitStatus.REFUSED)], ids=["passes", "fails"]
)
def test_a_test_that_tolerates_the_refusal(served: Served, backend: str, options: tuple[str, ...], status: int) -> None:
    """It is reported, and the run fails only if it is to. A client outside of the tree is served meanwhile."""
    with unloading("prog"), unloading("link"):
        with served.run(backend, *options) as run:
            assert served.cgroup.name.startswith("svc-trace-")
            served.answer()
            served.go_on()
            output, errors = run.communicate()
        assert run.returncode == status, errors
        assert "2 passed" in output
        assert not served.cgroup.exists()
    report = json.loads((served.directory / "svc-trace.json").read_text())
    nodeid = "test_it.py::test_tolerates"
    use = {"tests": [nodeid], "attempts": 2, "through": {"itself": 1}, "outside": 0, "reached": []}
    assert report["refused"] == {"cache": use}
    assert report["tests"][nodeid]["services"] == ["cache"]
    assert report["tests"]["test_it.py::test_its_own_server"]["self_hosted"] == ["own"]
    assert "svc-trace: 1 test tried to use a refused service: cache (1)" in errors.splitlines()
    select = subprocess.run(
        (sys.executable, "-m", "tracer", "select", "svc-trace.json", "--within", "postgres"),
        cwd=served.directory, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert select.stdout.split() == ["test_it.py::test_its_own_server"]


def test_datagrams_that_nothing_answers(tmp_path: Path, backend: str) -> None:
    """Their sender does not notice that they are lost. The report says what was tried."""
    (tmp_path / "test_it.py").write_text(DATAGRAMS)
    (tmp_path / "svc-trace.toml").write_text('[services.fast]\nports = [4433]\nprotocol = "quic"\n')
    command = (*tracer(backend, "--only", "postgres", "--fail-on", "refused"), "--", *PYTEST)
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == ExitStatus.REFUSED, run.stderr
    assert "2 tests tried to use refused services: fast (1), statsd (1)" in run.stderr
    report = json.loads((tmp_path / "svc-trace.json").read_text())
    tried = {"through": {"itself": 1}, "outside": 0, "reached": []}
    assert report["refused"] == {
        "fast": {"tests": ["test_it.py::test_quic"], "attempts": 1, **tried},
        "statsd": {"tests": ["test_it.py::test_statsd"], "attempts": 3, **tried},
    }
    calls = {one["service"]: one["calls"] for one in report["run"]["refused"] if one["calls"]}
    assert calls == {"fast": 1, "statsd": 3}


@contextmanager
def ending(*pids: int) -> Iterator[None]:
    """Wait at the end of the block until these processes, which need not be children, have ended."""
    with ExitStack() as stack:
        descriptors = [os.pidfd_open(pid) for pid in pids]
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        yield
        for descriptor in descriptors:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            assert poll.poll(20_000), "it does not end"


def test_a_killed_run_and_one_more_leave_nothing(served: Served, backend: str) -> None:
    """Neither a cgroup, nor programs, nor mounts."""
    before = mounts(served.directory)
    with unloading("prog"), unloading("link"):
        with served.run(backend) as run:
            cgroup = served.cgroup
            assert cgroup.exists()
            children = [child.pid for child in psutil.Process(run.pid).children(recursive=True)]
            own = [int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()]
            with ending(*children):
                run.kill()
                run.wait()
                if backend == "strace":  # the command cannot go on without it
                    for pid in own:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                else:
                    served.go_on()
        (served.directory / "test_it.py").write_text("def test_it(): pass\n")
        again = (*tracer(backend, "-q", "--only", "postgres"), "--", *PYTEST)
        subprocess.run(again, cwd=served.directory, check=True, capture_output=True)
        assert not cgroup.exists()
    assert mounts(served.directory) == before
