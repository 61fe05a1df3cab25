"""One run from start to end: load, launch, record."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.messages import Decoder, Packet
from tracer.record.capture.backends import StartingCapture
from tracer.record.capture.protocol import Capture
from tracer.record.launch import FORWARDED, Child, Invoker
from tracer.record.listeners import listeners
from tracer.record.recorder import Recorder
from tracer.record.run_directory import RunDirectory
from tracer.trace.file import TraceWriter
from tracer.trace.records import End, Run, RunWarning
from tracer.trace.storage import cannot_write

_TURN_S: Final = 0.02
"""How often both streams are read: the ring buffer holds some ten times what one core can send in that time."""
_SI_KERNEL: Final = 0x80
"""si_code of a signal from the terminal: its whole foreground process group got it, the command too (sigaction(2))."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What to run, and how to record it."""

    command: tuple[str, ...]
    output: Path  # where the report will go: whoever cannot write there is told before the command begins
    trace: Path | None = None  # keep the trace file here


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run that has ended."""

    trace: Path  # in the run's folder, unless it is to be kept
    exit_status: int  # the command's


@contextmanager
def record(options: RunOptions, starting: StartingCapture) -> Iterator[Recorded]:
    """Run the command to its end under the tracer. Root, if held, is given up for good before the command begins.

    Raises:
        SvcTraceError: the command cannot be traced or executed. It has not begun then.
    """
    invoker = Invoker.find()
    with ExitStack() as cleanup:
        capture = starting.result()
        cleanup.callback(capture.close)
        child = Child(options.command, invoker)
        cleanup.callback(child.join)
        with ExitStack() as unreleased:
            unreleased.callback(child.abandon)
            capture.plant(child.pid)
            with suppress(PermissionError):  # CAP_SYS_NICE may be missing
                os.nice(-5)  # a tracer that is starved by what it traces loses events
            invoker.become()
            _check_readable()
            _check_writable(options.output)
            folder = cleanup.enter_context(RunDirectory())
            fifo = cleanup.enter_context(Fifo(folder.fifo))
            trace = options.trace or folder.path / "trace.svctrace"
            writer = cleanup.enter_context(TraceWriter(trace))
            capture.expect_boundaries(folder.fifo.stat().st_ino)
            before = capture.before(folder.fifo)
            unreleased.pop_all()
        run = Run(options.command, capture.name, os.uname().release, time.time(), time.monotonic_ns(), str(Path.cwd()))
        writer.write(run)
        child.release(folder.hook_environment(invoker.environment), before)
        if code := capture.started():
            raise child.cannot_execute(code)
        status = _record(capture, child, fifo, writer)
        child.unblock_signals()
        capture.close()
        writer.close()
        yield Recorded(trace, status)


def _check_readable() -> None:
    """See that the user whom the tracer has become can read what is imported after the command's end."""
    for file in (__file__, os.__file__):
        if not os.access(file, os.R_OK):
            raise SvcTraceError(
                f"svc-trace is installed where user {os.getuid()} cannot read it: {file}",
                hint="install it in a virtual environment of that user, or for all users below /usr/local or /opt",
                slug="unreadable-installation",
                exit_code=ExitStatus.CANNOT_TRACE,
            )


def _check_writable(output: Path) -> None:
    """See that the report can be written after the command's end."""
    where = output if output.exists() else output.parent
    if not os.access(where, os.W_OK):
        raise cannot_write(output, OSError(None, "no such folder" if not where.exists() else "permission denied"))


def _record(capture: Capture, child: Child, fifo: Fifo, writer: TraceWriter) -> int:
    recorder = Recorder(writer)
    decoder = Decoder()

    def read() -> list[Packet]:
        return decoder.feed(fifo.read())

    status = None
    while status is None:
        received = child.wait(_TURN_S)
        status = child.poll()
        recorder.turn(capture.drain, read)
        if received and status is None and _is_for_the_command(received, recorder):
            child.forward(received.si_signo)
    end_ns = time.monotonic_ns()
    capture.catch_up()
    recorder.turn(capture.drain, read)
    recorder.finish(end_ns)
    lost_boundaries = decoder.lost + decoder.malformed + recorder.unknown_packets + recorder.cut_off_sessions
    lost_boundaries += fifo.silenced
    for warning in _warnings(capture, lost_boundaries, recorder):
        writer.write(warning)
    for listener in listeners(recorder.reached):
        writer.write(listener)
    writer.write(End(end_ns, status, capture.lost_events(), lost_boundaries, recorder.pytest_reported))
    return status


def _is_for_the_command(received: signal.struct_siginfo, recorder: Recorder) -> bool:
    """Whether a signal has to be forwarded: what terminal or tree sent to the process group, the command has too."""
    return (
        received.si_signo in FORWARDED
        and received.si_code != _SI_KERNEL
        and not recorder.is_of_the_tree(received.si_pid)
    )


def _warnings(capture: Capture, lost_boundaries: int, recorder: Recorder) -> Iterator[RunWarning]:
    explained = [*capture.warnings()]
    yield from explained
    if (lost_events := capture.lost_events()) and not explained:
        yield RunWarning(
            "lost-events",
            f"{lost_events:,} events were lost: some tests may use more than is told here",
            "run it again with fewer workers at a time, or on a machine with a processor to spare",
        )
    if lost_boundaries:
        yield RunWarning(
            "lost-boundaries",
            f"{lost_boundaries:,} of the hook's records were lost: some evidence may be misplaced",
            "look for a test that closes or exhausts all file descriptors, or writes to them",
        )
    if recorder.unfinished_sessions:
        yield RunWarning(
            "unfinished-session",
            f"{recorder.unfinished_sessions:,} pytest processes never closed their session",
            "they crashed, could no longer report, or still ran when the command ended: tests may be missing",
        )
    if not recorder.pytest_reported:
        yield RunWarning(
            "no-hook",
            "no pytest reported, so nothing can be told of tests",
            "trace a command that runs pytest and keeps PYTHONPATH",
        )
