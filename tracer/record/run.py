"""One run from start to end: load, launch, record."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from tracer.errors import counted
from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.packets import Decoder
from tracer.record.capture.protocol import Loaded, Session
from tracer.record.invoker import Invoker
from tracer.record.kept_trace import kept_on_error
from tracer.record.launch import FORWARDED, Child
from tracer.record.listeners import listeners
from tracer.record.names.host_names import Surroundings
from tracer.record.pauses import Pauses
from tracer.record.recorder import Recorder
from tracer.record.run_directory import RunDirectory
from tracer.trace.destination import check_writable
from tracer.trace.file import TraceWriter
from tracer.trace.records import End, Run, RunWarning

if TYPE_CHECKING:
    from tracer.record.entering.entered import Entered
    from tracer.record.refusal.records import RecordedRefusal
    from tracer.record.refusal.targets import Refusal
    from tracer.record.watching import Watcher

SI_KERNEL: Final = 0x80
"""si_code of a signal from the terminal, which sends it to its whole foreground process group (sigaction(2))."""


class Trial(Struct, frozen=True):
    """A run of a trial: no failure ends a pytest session."""

    tests: frozenset[str] | None = None  # node ids of the tests that run; None: all


class RunOptions(Struct, frozen=True):
    """What to run, and how to record it."""

    command: tuple[str, ...]
    output: Path  # where the report will go: must be writable before the command begins
    trace: Path | None = None  # keep the trace file here
    refusal: Refusal | None = None  # refuse services to the command
    trial: Trial | None = None
    watcher: Watcher | None = None  # sees the run from its beginning to the command's end
    enter: tuple[str, ...] = ()  # the command that starts it in a container; empty: it runs on this machine


class Recorded(Struct, frozen=True):
    """A run that has ended."""

    trace: Path  # through a descriptor: the command may have moved, removed or replaced the file
    exit_status: int  # the command's


@contextmanager
def record(
    options: RunOptions, loaded: Loaded, invoker: Invoker, say: Callable[[str], None] = lambda line: None
) -> Iterator[Recorded]:
    """Run the command to its end under the tracer. Root is given up for good before the command begins.

    `loaded` is closed as soon as the command has ended. Any error after the command began, also one in the block, has a
    note that says where the trace is kept.

    Args:
        options: what to run.
        loaded: the backend.
        invoker: the user who started svc-trace.
        say: gets lines for the user, before the command begins: what is not refused.

    Raises:
        SvcTraceError: the command cannot be traced or executed, or services cannot be refused. It has not begun then.
            Or the trace cannot be written.
        OSError: the same, because the system refused a file or a process.
    """
    with ExitStack() as recorded:
        with ExitStack() as tracing:
            tracing.callback(loaded.close)
            child = _start(options, invoker)
            tracing.callback(child.join)
            with ExitStack() as unreleased:
                unreleased.callback(child.abandon)
                directory = recorded.enter_context(RunDirectory())
                if options.trial is not None:
                    directory.begin_trial(options.trial.tests)
                fifo = tracing.enter_context(child.fifo(directory.fifo))
                refused = _refuse(options.refusal, child.pid, invoker, tracing)
                with invoker.root(), suppress(PermissionError):  # CAP_SYS_NICE may be missing
                    os.nice(-5)  # a tracer that gets less CPU than the command loses events
                with invoker.root() if loaded.privileged else nullcontext():
                    session = loaded.trace(child.pid, fifo.path, causes=not child.lacks_causes)
                tracing.callback(session.close)
                invoker.become()
                check_writable(options.output)
                kernel, cwd = os.uname().release, Path.cwd()
                writer = tracing.enter_context(_writer(options, directory))
                trace = os.dup(writer.fileno())
                recorded.callback(os.close, trace)
                started = time.time(), time.monotonic_ns()
                command, lacks_causes = (*options.enter, *options.command), loaded.lacks_causes or child.lacks_causes
                writer.write(Run(command, loaded.name, kernel, *started, str(cwd), lacks_causes))
                for one in refused.begun() if refused else ():
                    writer.write(one)
                for line in refused.lines() if refused else ():
                    say(line)
                recorder = Recorder(writer, Surroundings(cwd, invoker.environment, invoker.uid))
                if options.watcher is not None:
                    tracing.enter_context(options.watcher)
                unreleased.pop_all()
            hidden = refused.hidden if refused else frozenset()
            child.release(directory.hook_environment(invoker.environment), session.wrapper, hidden)
            recorded.enter_context(kept_on_error(trace, directory.path, options.trace, options.output))
            status = _record(session, child, fifo, writer, directory, recorder, refused, options.watcher)
        yield Recorded(Path(f"/proc/self/fd/{trace}"), status)


def _writer(options: RunOptions, directory: RunDirectory) -> TraceWriter:
    """The writer of the trace. A run without a watcher does not import that module."""
    path, renamed = options.trace or directory.trace, options.trace is not None
    if options.watcher is None:
        return TraceWriter(path, renamed=renamed)
    from tracer.record.watching import WatchedTraceWriter

    return WatchedTraceWriter(path, options.watcher, renamed=renamed)


def _start(options: RunOptions, invoker: Invoker) -> Child | Entered:
    if not options.enter:
        return Child(options.command, invoker)
    from tracer.record.entering.entered import Entered  # rarely needed

    return Entered(options.enter, options.command, invoker)


def _refuse(refusal: Refusal | None, child: int, invoker: Invoker, tracing: ExitStack) -> RecordedRefusal | None:
    """Refuse services to the stopped child until `tracing` ends. A run that refuses nothing imports none of this."""
    if refusal is None:
        return None
    from tracer.record.refusal.records import recorded_refusal

    return tracing.enter_context(recorded_refusal(refusal, child, invoker))


def _record(
    session: Session,
    child: Child | Entered,
    fifo: Fifo,
    writer: TraceWriter,
    directory: RunDirectory,
    recorder: Recorder,
    refused: RecordedRefusal | None,
    watcher: Watcher | None,
) -> int:
    decoder = Decoder()
    status = None
    with Pauses(child, session, fifo) as pauses:
        while status is None:
            received = pauses.wait()
            status = child.poll()
            recorder.turn(session.drain, lambda: decoder.feed(fifo.read()))
            if watcher is not None:
                watcher.turned()
            if received and status is None and received.si_signo in FORWARDED:
                child.take(received.si_signo, reached=_has_reached(received, recorder))
    end_ns = time.monotonic_ns()
    session.catch_up()
    recorder.turn(session.drain, lambda: decoder.feed(fifo.read()))
    recorder.finish(end_ns)
    lost_boundaries = decoder.lost + decoder.malformed + recorder.unknown_packets + recorder.runners.cut_off
    damaged = fifo.is_displaced() or directory.is_damaged()
    lost_boundaries += fifo.silenced
    for one in refused.ended() if refused else ():
        writer.write(one)
    for warning in _warnings(session, lost_boundaries, recorder, damaged=damaged):
        writer.write(warning)
    listening = [*listeners(recorder.flows.reached)]
    for listener in listening:
        writer.write(listener)
    recorder.host_names.finish(listening)
    runners, clocks = recorder.runners, recorder.clocks
    lost_boundaries += damaged + clocks.unusable
    not_begun, untraced = runners.not_begun, sum(runners.untraced.values())
    missing = None if not_begun is None or clocks.wrong else not_begun + untraced
    reported = runners.reported or bool(clocks.wrong)
    writer.write(End(end_ns, status, session.lost(), lost_boundaries, reported, missing, runners.partial))
    return status


def _has_reached(received: signal.struct_siginfo, recorder: Recorder) -> bool:
    """Whether the command got a signal, too: one from the terminal or the tree is for the whole process group."""
    return received.si_code == SI_KERNEL or recorder.is_of_the_tree(received.si_pid)


def _warnings(session: Session, lost_boundaries: int, recorder: Recorder, *, damaged: bool) -> Iterator[RunWarning]:
    explanations = [*session.warnings()]
    yield from explanations
    if (lost_events := session.lost()) and not explanations:
        yield RunWarning(
            "lost-events",
            f"{counted(lost_events, 'event')} lost: some tests may use more than is reported",
            "Run it again with fewer workers at a time, or on a machine with a free processor.",
        )
    if damaged:
        yield RunWarning(
            "damaged-run-directory",
            "the command removed or replaced svc-trace's temporary files: tests may be missing",
            "Look for a test that empties the directory for temporary files (TMPDIR).",
        )
    if lost_boundaries:
        yield RunWarning(
            "lost-boundaries",
            f"{lost_boundaries:,} of the hook's records {'was' if lost_boundaries == 1 else 'were'} lost: "
            "some evidence may be misplaced",
            "Look for a test that closes or exhausts all file descriptors, or writes to them.",
        )
    if unfinished := recorder.runners.unfinished:
        yield RunWarning(
            "unfinished-session",
            f"{counted(unfinished, 'pytest process')} did not end {'its' if unfinished == 1 else 'their'} session",
            "Look for crashes, and for processes that still run after the command's end: tests may be missing.",
        )
    if wrong := recorder.clocks.wrong:
        yield RunWarning(
            "wrong-clock",
            f"{counted(len(wrong), 'pytest process')} read another clock than the kernel's: tests are missing",
            "Run them in svc-trace's time namespace. With libfaketime, set FAKETIME_DONT_FAKE_MONOTONIC=1.",
        )
    if untraced := recorder.runners.untraced:
        yield RunWarning(
            "untraced-workers",
            f"the results of {counted(sum(untraced.values()), 'test')} came from workers of xdist that were not "
            "traced, and are missing",
            "Let pytest start its workers on this machine: -n NUMBER, or --tx popen.",
        )
    for python, pytest in sorted(recorder.runners.inactive):
        yield RunWarning(
            "unsupported-pytest",
            f"the hook is inactive in pytest {pytest} on Python {python}: the tests that it ran are unknown",
            "Run these tests with pytest 7.0 or newer on Python 3.8 or newer.",
        )
    if not (recorder.runners.reported or recorder.runners.inactive or recorder.clocks.wrong):
        yield RunWarning(
            "no-hook",
            "no pytest reported, so the tests are unknown",
            "Trace a command that runs pytest and passes on PYTHONPATH and SVC_TRACE_FIFO. "
            "In tox, this needs pass_env = PYTHONPATH, SVC_TRACE_FIFO.",
        )
