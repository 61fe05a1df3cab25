"""Waits until older threads wait. Standard library only, Python 3.8 and later.

A thread that has just answered may still run when the next test gives it work. Then the test does not wake it, and the
cause is unsure. Suites that test causes call `settle` before they give work to older threads or processes.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

_others: Set[str] = set()
"""The pids of processes that are known not to be of this run. Looking at all of them takes long under strace."""
_LONG_ENOUGH_S = 0.01
"""A thread waits if all looks within this time find it waiting, without a switch in between."""
_LIMIT_S = 30.0


def settle() -> None:
    """Wait until all other threads and processes of this run wait.

    Raises:
        TimeoutError: one does not wait within a limit.
    """
    deadline_s = time.monotonic() + _LIMIT_S
    before: Dict[str, Tuple[bool, str]] = {}
    own = threading.get_native_id()
    processes = [*_processes()]
    since_s = time.monotonic()
    while time.monotonic() < since_s + _LONG_ENOUGH_S:
        now = dict(_threads(processes, own))
        if now != before or not all(waits for waits, _ in now.values()):
            since_s = time.monotonic()
        before = now
        if since_s > deadline_s:
            raise TimeoutError(f"these do not wait: {[tid for tid, (waits, _) in now.items() if not waits]}")
        time.sleep(0.002)


def _processes() -> Iterator[Path]:
    """The threads' directories of the processes of this run, which have its environment.

    Ancestors are left out: svc-trace is one of them, and never waits for long. So is strace, which each look wakes.
    """
    mark = f"TRUTH_OUTCOMES={os.environ['TRUTH_OUTCOMES']}".encode()
    _others.update(_ancestors())
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.name not in _others:
                marked = mark in (process / "environ").read_bytes().split(b"\0")
                if marked and (process / "comm").read_text() != "strace\n":
                    yield process / "task"
                else:
                    _others.add(process.name)


def _ancestors() -> Iterator[str]:
    pid = str(os.getppid())
    while pid != "0":
        yield pid
        pid = (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()[1]


def _threads(processes: List[Path], own: int) -> Iterator[Tuple[str, Tuple[bool, str]]]:
    """Each other thread: whether it waits, and how often it has given up its processor."""
    for process in processes:
        with suppress(OSError):
            for thread in process.iterdir():
                if thread.name != str(own):
                    status = dict(line.split(":", 1) for line in (thread / "status").read_text().splitlines())
                    yield thread.name, ("S" in status["State"].split(), status["voluntary_ctxt_switches"])
