"""`svc-trace doctor`: what this machine can do is found out by doing it; what is missing has its remedy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from launched import User, new_user

from tracer import __version__
from tracer.record.capture.backends import BACKENDS

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can take away what is missing here"),
]

DOCTOR = (sys.executable, "-m", "tracer", "doctor")


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


def diagnose(*before: str, status: int = 0) -> dict[str, Any]:
    done = subprocess.run([*before, *DOCTOR, "--format", "json"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (status, b"")
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["schema"] == "svc-trace-doctor/1"
    assert [backend["name"] for backend in report["backends"]] == list(BACKENDS)
    return report


def answers(checks: list[dict[str, Any]]) -> dict[str, bool | None]:
    assert all(check["remedy"] for check in checks if check["answer"] is False)
    return {check["name"]: check["answer"] for check in checks}


def test_root_can_use_every_backend() -> None:
    report = diagnose()
    assert {backend["name"]: backend["reason"] for backend in report["backends"]} == dict.fromkeys(BACKENDS)
    assert report["auto"] == "libbpf"
    assert answers(report["checks"])["root"] is True
    causes = {backend["name"]: answers(backend["checks"])["causes"] for backend in report["backends"]}
    assert causes == {"libbpf": True, "bcc": True, "strace": False}


def version(run: Callable[..., subprocess.CompletedProcess[bytes]], *command: str) -> dict[str, str]:
    done = run(*command, "--version", "--verbose")
    assert (done.returncode, done.stderr) == (0, b"")
    first, *facts = done.stdout.decode().splitlines()
    assert first == f"svc-trace, version {__version__}"
    return {name: fact.strip() for name, _, fact in (line.partition(":") for line in facts)}


def test_the_facts_for_a_report_of_an_error(user: User) -> None:
    facts = version(user.run, "sudo", "-n", user.program)
    assert [*facts] == ["installed", "Python", "distribution", "kernel", "libbpf", "backend"]
    assert facts["installed"] == user.program
    assert facts["Python"].endswith(f", {user.python}")
    assert facts["kernel"] == f"Linux {os.uname().release}, {os.uname().machine}"
    assert re.fullmatch(r"libbpf.so.1, version \d+\.\d+", facts["libbpf"])
    assert facts["backend"] == "libbpf"
    assert version(user.run, user.program) == facts | {
        "backend": "strace. libbpf and bcc: loading the probes needs root"
    }


def test_the_trial_has_the_last_word() -> None:
    """As root in an ordinary container: nothing is missing, and BPF is forbidden."""
    forbidden = ("setpriv", "--bounding-set", "-sys_admin,-bpf,-perfmon")
    report = diagnose(*forbidden)
    assert report["auto"] == "strace"
    libbpf = report["backends"][0]
    needed = answers(libbpf["checks"]).items() - {("fentry", False), ("kprobes", False)}  # other ways to see sends
    assert False not in dict(needed).values()
    assert libbpf["works"] is False
    assert libbpf["reason"] == report["backends"][1]["reason"] == "the kernel forbids BPF here (EPERM)"
    assert "--privileged" in libbpf["remedy"]


def test_it_says_what_to_do(user: User) -> None:
    done = user.run(user.python, "-m", "tracer", "doctor")
    page = done.stdout.decode()
    assert done.stderr == b""
    assert "root          you are user" in page
    assert "-> Run it with sudo." in page
