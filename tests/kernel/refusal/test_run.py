"""A whole run with services refused: its trace and its report, on each backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from socket import SOCK_STREAM
from typing import Any, Final

import pytest

from kernel.refusal.refused import Servers, bound

pytestmark = [pytest.mark.kernel]

BY_MOUNTS: Final = tuple(map(int, os.uname().release.split(".")[:2])) < (6, 7)
"""Unix sockets are hidden by mounts: no program counts them."""
TRACER: Final = Path(__file__).parents[3]
RUN: Final = """
import json, sys
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from tracer.classify.classification import classify
from tracer.classify.services.config import load_config
from tracer.record.capture.backends import BACKENDS
from tracer.record.invoker import Invoker
from tracer.record.run import RunOptions, record
from tracer.reports import json_report
from tracer.trace.file import read_trace
backend, targets, paths, *command = json.loads(sys.argv[1])
refusal = None
if targets or paths:
    from tracer.record.refusal.targets import Refusal, Target
    peers = {Target(ip_network(host), range(port, port + 1), frozenset({protocol})): name
             for name, protocol, host, port in targets}
    refusal = Refusal(tuple(peers), frozenset(paths), services={**peers, **paths})
loaded = BACKENDS[backend]().start()
def say(line): print("said:", line, flush=True)
with record(RunOptions(tuple(command), Path("report.json"), refusal=refusal), loaded, Invoker.find(), say) as run:
    classification = classify(read_trace(run.trace), load_config(None, Path.cwd()), generated_at=datetime.now(UTC))
Path("report.json").write_bytes(b"".join(json_report.render(classification)))
print("modules:", *sorted(name for name in sys.modules if name.startswith("tracer.record.refusal")))
"""
SUITE: Final = """
import json, os
from socket import *
import pytest
P = json.loads(os.environ["PEERS"])

def test_tcp():
    with pytest.raises(ConnectionRefusedError): create_connection(P["tcp"])

def test_udp_connected():
    with socket(type=SOCK_DGRAM) as s:
        s.connect(tuple(P["udp"]))
        for _ in range(5): s.send(b"1")

def test_udp_with_an_address():
    with socket(type=SOCK_DGRAM) as s: s.sendto(b"1", tuple(P["udp"]))

def test_udp_with_errors():
    with socket(type=SOCK_DGRAM) as s:
        s.setsockopt(IPPROTO_IP, 11, 1)  # IP_RECVERR
        with pytest.raises(OSError): s.sendto(b"1", tuple(P["udp"]))

def test_unix():
    with socket(AF_UNIX) as s, pytest.raises(ConnectionRefusedError): s.connect(P["unix"])

def test_another_port():
    create_connection(P["allowed"]).close()
"""


def run(
    directory: Path, backend: str, targets: list[object], paths: Mapping[str, str], *command: str, **peers: object
) -> tuple[dict[str, Any], str]:
    """The report of a run, and what it wrote."""
    environment = {**os.environ, "PEERS": json.dumps(peers), "PYTHONPATH": str(TRACER)}
    command = (sys.executable, "-c", RUN, json.dumps([backend, targets, paths, *command]))
    done = subprocess.run(command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads((directory / "report.json").read_text()), done.stdout


def test_refused_attempts_are_evidence(backend: str, servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    path = str(tmp_path / "server.sock")
    at = ("127.0.0.1", servers.port)
    with ExitStack() as stack:
        bound(stack, SOCK_STREAM, path)
        allowed = bound(stack, SOCK_STREAM, ("127.0.0.1", 0)).getsockname()
        targets: list[object] = [("cache", "tcp", *at), ("metrics", "udp", *at)]
        pytest_command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        report, _ = run(
            tmp_path, backend, targets, {path: "store"}, *pytest_command, tcp=at, udp=at, unix=path, allowed=allowed
        )
        servers.answer()
    assert report["run"]["exit_status"] == 0
    assert report["run"]["complete"]
    assert report["run"]["refused"] == [
        {"service": "cache", "calls": 1},
        {"service": "metrics", "calls": 7},
        {"service": "store", "calls": None if BY_MOUNTS else 1},
    ]
    tests = {
        nodeid.partition("::")[2]: [
            (one["service"], one["endpoint"], one["strength"], one["errno"], one["connects"], one["sends"])
            for one in test["evidence"]
        ]
        for nodeid, test in report["tests"].items()
    }
    tcp, udp = (f"{protocol}://127.0.0.1:{servers.port}" for protocol in ("tcp", "udp"))
    assert tests == {
        "test_tcp": [("cache", tcp, "attempted", "ECONNREFUSED", 1, 0)],
        "test_udp_connected": [("metrics", udp, "attempted", None, 0, 5)],
        "test_udp_with_an_address": [("metrics", udp, "attempted", None, 0, 1)],
        "test_udp_with_errors": [("metrics", udp, "attempted", "ENOBUFS", 0, 0)],
        "test_unix": [("store", f"unix://{path}", "attempted", "ECONNREFUSED", 1, 0)],
        "test_another_port": [
            (f"unknown:tcp://127.0.0.1:{allowed[1]}", f"tcp://127.0.0.1:{allowed[1]}", "connected", None, 1, 0)
        ],
    }


def test_names_that_are_not_served_are_named_before_the_command(backend: str, tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    _, output = run(tmp_path, backend, [], {path: "store"}, "echo", "began")
    said, began, *_ = output.splitlines()
    assert path in said
    assert began == "began"


def test_a_run_that_refuses_nothing_loads_none_of_it(backend: str, tmp_path: Path) -> None:
    report, output = run(tmp_path, backend, [], {}, "true")
    assert output == "modules:\n"
    assert "refused" not in report["run"]
