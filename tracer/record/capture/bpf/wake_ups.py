"""A trial at the start: whether the probes see which wake-ups a system call causes.

They recognise a call by the address of their own stack (probes/causes.h). On a kernel with other stacks, that would
fail without an error: no wake-up would be a cause, or those by timers would be.

The tracer forks for the trial, because an interpreter takes ten times as long to start. Another thread of it may import
at the same time. What that thread has locked stays locked in a forked process, which therefore only calls the system.
"""

from __future__ import annotations

import errno
import gc
import mmap
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from tracer.record.capture.bpf.session import BpfLoaded
from tracer.record.capture.protocol import Event, Kind, SocketEvent

_TIMEOUT_S: Final = 60
_TURNS: Final = 3
_TURN_S: Final = 0.0002
"""The runner's CPU time in each turn. Between two turns, the other process can begin to wait again."""
_RING_BYTES: Final = 1 << 16  # more than its events need: to map the whole ring buffer would take 2 ms
_TIMER_S: Final = 0.0001  # without a real-time priority, the kernel may add 50 µs (PR_SET_TIMERSLACK)


class Trial:
    """A trial of loaded probes, in processes of its own. It goes on while the tracer does something else."""

    def __init__(self, loaded: BpfLoaded) -> None:
        self._lacks: str | None = None
        with ExitStack() as resources:
            try:
                self._begin(loaded, resources)
            except OSError as error:
                self._lacks = _failed(error)
            else:
                self._resources = resources.pop_all()

    def _begin(self, loaded: BpfLoaded, resources: ExitStack) -> None:
        waiting, go = _pipe(resources)
        _, boundaries = _pipe(resources)

        def act() -> None:
            os.close(go)
            os.sched_setaffinity(0, {_processor()})
            with suppress(PermissionError):  # CAP_SYS_NICE or the cgroup's share of real time may be missing
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            if os.read(waiting, 1):  # otherwise the tracer has died
                _wake(boundaries)

        pid = _fork(act)
        resources.callback(os.waitpid, pid, 0)
        resources.callback(os.kill, pid, signal.SIGKILL)
        self._ended = os.pidfd_open(pid)
        resources.callback(os.close, self._ended)
        fifo = Path(f"/proc/self/fd/{boundaries}")
        self._session = resources.enter_context(closing(loaded.begin(pid, fifo, _RING_BYTES, causes=True)))
        os.write(go, b".")

    def result(self) -> str:
        """Wait for the end; return why the probes' causes cannot be relied on, or nothing."""
        if self._lacks is None:
            with self._resources:
                try:
                    self._lacks = _lacks_causes(self._events())
                except TimeoutError:
                    self._lacks = f"the trial of wake-ups did not end within {_TIMEOUT_S} s"
                except OSError as error:
                    self._lacks = _failed(error)
        return self._lacks

    def _events(self) -> list[Event]:
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        if not poll.poll(_TIMEOUT_S * 1000):
            raise TimeoutError
        result = os.waitid(os.P_PIDFD, self._ended, os.WEXITED | os.WNOWAIT)
        assert result is not None  # it waited
        if result.si_code != os.CLD_EXITED:
            raise OSError(f"signal {result.si_status} ended its process")
        if result.si_status:
            raise OSError(result.si_status, os.strerror(result.si_status))
        return [*self._session.drain()]

    def close(self) -> None:
        """End it if it has not ended."""
        if self._lacks is None:
            self._lacks = "the trial of wake-ups was ended"
            self._resources.close()


def with_trial(loaded: BpfLoaded, *, causes: bool) -> BpfLoaded:
    """The same probes, which now own their resources; with `causes`, a trial of them has begun."""
    trial = loaded.resources.enter_context(closing(Trial(loaded))) if causes else None
    return replace(loaded, trial=trial, resources=loaded.resources.pop_all())


def _lacks_causes(events: list[Event]) -> str:
    sends = [event for event in events if isinstance(event, SocketEvent) and event.kind == Kind.SEND]
    calls = [event for event in sends if event.head == b"call"]
    timers = [event for event in sends if event.head == b"timer"]
    if not timers or not any(event.cause_ns > 0 for event in calls):
        return "this kernel does not show which system call wakes a thread"
    if any(event.cause_ns > calls[-1].ns for event in timers):
        return "this kernel does not show whether a system call or a timer wakes a thread"
    return ""


def _failed(error: OSError) -> str:
    return f"the trial of wake-ups failed: {error}"


def _processor() -> int:
    """The processor that runs this process. The tracer is likely to use another one (proc_pid_stat(5))."""
    file = os.open("/proc/self/stat", os.O_RDONLY)
    try:
        return int(os.read(file, 4096).rpartition(b") ")[2].split()[36])
    finally:
        os.close(file)


def _pipe(resources: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    resources.callback(os.close, read)
    resources.callback(os.close, write)
    return read, write


def _fork(act: Callable[[], None]) -> int:
    """Fork a process that only does this, and return its pid. Its exit status is the number of an error."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the tracer handles them
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid
    code = errno.ECANCELED
    try:
        gc.disable()  # a finaliser might need a lock
        act()
        code = 0
    except OSError as error:
        code = error.errno or code
    finally:
        os._exit(code)


def _wake(boundaries: int) -> None:
    """Be a runner that wakes another process, which sends. Then timers wake that one, while the runner is in calls.

    Both use one processor, so the timers interrupt the runner. They have a real-time priority, for some milliseconds:
    on a busy machine, the timers would interrupt other processes, and each switch would take a turn of the scheduler.
    """
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind("")  # an abstract address that is free
    asking, asked = os.pipe()
    done = mmap.mmap(-1, mmap.PAGESIZE)  # shared: to write to it wakes no process

    def send() -> None:
        os.close(asked)
        sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if os.read(asking, 1):
            sender.sendto(b"call", receiver.getsockname())
            while not done[0] and not select.select([asking], [], [], _TIMER_S)[0]:  # readable: the runner has died
                pass
            sender.sendto(b"timer", receiver.getsockname())

    pid = _fork(send)
    os.write(boundaries, b".")
    state = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    while not any(status in os.pread(state, 64, 0) for status in (b") S ", b") Z ")):  # it waits, or has failed
        os.sched_yield()
    os.write(asked, b".")
    os.write(boundaries, b".")  # another epoch: within one, a thread becomes a cause of another only once
    zero, buffers = os.open("/dev/zero", os.O_RDONLY), [bytearray(1 << 18)]
    for _ in range(_TURNS):
        os.sched_yield()
        until = time.process_time() + _TURN_S
        while time.process_time() < until:
            os.readv(zero, buffers)
    done[0] = 1
    _, status = os.waitpid(pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise OSError(code, os.strerror(code))
