"""Suites and plugins that replace the functions which the hook calls."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from environments import MINORS, environment_with, interpreter

from hook.suites import Environment, plain, run
from tracer.record.run_directory import RunDirectory

PACKAGES: Final = ("pytest", "eventlet", "gevent", "freezegun", "time-machine", "pyfakefs")
PATCHES: Final = {
    "eventlet": """
import warnings
with warnings.catch_warnings(action="ignore"): import eventlet
eventlet.monkey_patch()
""",
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "freezegun": "import freezegun; freezegun.freeze_time('2000-01-01').start()",
    "time-machine": "import time_machine; time_machine.travel(0, tick=False).start()",
    "pyfakefs": "from pyfakefs.fake_filesystem_unittest import Patcher; Patcher().setUp()",
    "all that it calls": """
import fcntl, itertools, json, os, resource, select, signal, stat, threading, time
from unittest import mock
for name in (
    "os.open", "os.write", "os.close", "os.fstat", "os.getpid", "fcntl.fcntl", "select.poll",
    "signal.sigtimedwait", "resource.getrlimit", "resource.setrlimit", "time.monotonic_ns", "threading.get_ident",
    "threading.get_native_id", "threading.local", "itertools.count", "json.dumps", "json.JSONEncoder", "stat.S_ISFIFO",
):
    mock.patch(name, side_effect=AssertionError("of the hook")).start()
""",
}
FULL: Final = "@pytest.mark.parametrize('n', range(150), ids=lambda n: str(n) + 'x' * 10_000)\ndef test_a(n): pass"


@pytest.fixture(scope="session")
def patching(run_directory: RunDirectory) -> Environment:
    return Environment(environment_with(interpreter(MINORS[::-1]), PACKAGES), run_directory)


@pytest.mark.parametrize("patch", PATCHES)
def test_what_a_test_patches_is_not_the_hooks(patching: Environment, tmp_path: Path, patch: str) -> None:
    body = PATCHES[patch].strip().replace("\n", "\n    ")
    source = f"def test_a():\n    {body}\ndef test_b():\n    from unittest import mock; mock.patch.stopall()"
    reported = run(patching, tmp_path, source, "-p", "no:tmpdir", "-p", "no:logging", "-p", "no:capture")
    assert reported.status == 0, reported.output
    assert reported.steps() == plain("test_a") + plain("test_b")
    assert (reported.lost, reported.malformed, reported.off) == (0, 0, False)


@pytest.mark.parametrize("patch", ["eventlet", "gevent", "freezegun", "time-machine"])
def test_what_an_earlier_plugin_patches_is_not_the_hooks(patching: Environment, tmp_path: Path, patch: str) -> None:
    reported = run(patching, tmp_path, f"{PATCHES[patch]}\ndef test_a(): pass", "-p", "test_it")
    assert reported.status == 0, reported.output
    assert reported.steps() == plain("test_a")
    assert (reported.lost, reported.malformed, reported.off) == (0, 0, False)


@pytest.mark.parametrize("patch", ["eventlet", "gevent"])
def test_a_full_pipe_stops_no_patched_suite(patching: Environment, tmp_path: Path, patch: str) -> None:
    reported = run(patching, tmp_path, f"{PATCHES[patch]}\n{FULL}", "-q", "-p", "test_it")
    assert reported.status == 0, reported.output
    assert reported.packets[-1].seq < 4 * 150  # it was off before the end
    assert reported.off
