from __future__ import annotations

import os
import signal
import subprocess
import sys

import click
import pytest

from tracer.commands.own_process import in_own_process
from tracer.errors import ExitStatus, SvcTraceError


def test_it_is_another_process_whose_stdout_is_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    in_own_process(write_parent)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", str(os.getpid()))


def write_parent() -> None:
    os.write(1, f"{os.getppid()}".encode())


def failing(error: BaseException) -> None:
    error.add_note("a note")
    raise error


@pytest.mark.parametrize(
    "error",
    [
        SvcTraceError("no probes", hint="Install them.", slug="no-probes", exit_code=ExitStatus.CANNOT_TRACE),
        OSError(28, "No space left on device", "/tmp/ä"),
        OSError(11, "Resource temporarily unavailable"),
    ],
)
def test_its_error_is_raised_here(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        in_own_process(lambda: failing(error))
    assert str(raised.value) == str(error)
    assert raised.value.__notes__ == ["a note"]
    assert getattr(raised.value, "exit_code", None) == getattr(error, "exit_code", None)


def test_an_unknown_error_is_printed_there(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.exceptions.Exit) as raised:
        in_own_process(lambda: failing(LookupError("a bug")))
    assert raised.value.exit_code == ExitStatus.INTERNAL
    assert "LookupError: a bug" in capfd.readouterr().err


def test_a_child_that_is_killed() -> None:
    with pytest.raises(click.exceptions.Exit) as raised:
        in_own_process(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert raised.value.exit_code == 137


WAITING = """
import signal, sys
from tracer.commands.own_process import in_own_process
import click
def wait():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print("ready", file=sys.stderr, flush=True)
    signal.sigwait({signal.SIGTERM})
    print("got it", file=sys.stderr, flush=True)
try:
    in_own_process(wait)
except click.exceptions.Exit as ending:
    sys.exit(ending.exit_code)
"""


def test_a_signal_is_passed_on_and_ends_both() -> None:
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read() == "got it\n"
    assert process.returncode == 128 + signal.SIGTERM
