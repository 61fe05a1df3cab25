"""A trial at the start: whether the probes see which wake-ups a system call causes.

They recognise a call by the address of their own stack (probes/causes.h). On a kernel with other stacks, that would
fail without an error: no wake-up would be a cause, or those by timers would be.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tracer.record.capture.bpf.session import BpfLoaded
from tracer.record.capture.protocol import Event, Kind, SocketEvent

REFUSED: Final = "this kernel refuses the probe at sched_waking"
_TIMEOUT_S: Final = 60
_PROGRAM: Final = """
import os, select, sys, _socket
directory = sys.argv[1]
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
receiver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
receiver.bind(directory + "/socket")
asking, asked = os.pipe()
child = os.fork()
if child == 0:
    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    os.read(asking, 1)
    sender.sendto(b"call", directory + "/socket")
    for turn in range(3):
        select.select([], [], [], 0.0002)
        sender.sendto(b"timer", directory + "/socket")
    os._exit(0)
os.write(os.open(directory + "/boundaries", os.O_RDWR), b".")
state = open(f"/proc/{child}/stat", "rb", 0)
while b") S " not in state.read():
    os.sched_yield()
    state.seek(0)
os.write(asked, b".")
zero, buffers = os.open("/dev/zero", os.O_RDONLY), [bytearray(1 << 18)]
while os.waitpid(child, os.WNOHANG) == (0, 0):
    os.readv(zero, buffers)
os._exit(0)  # at once
"""
"""A runner's thread wakes a child, which sends. Then the child is woken by timers, while the other is in a call.

Both use one processor, so the timers interrupt the runner's thread.
"""
_AFTER_ROOT: Final = ("/bin/sh", "-c", 'read go && exec "$@"', "sh")  # bcc's root begins with an exec


def lacks_causes(loaded: BpfLoaded) -> str:
    """Try loaded probes; return why their causes cannot be relied on, or nothing."""
    try:
        with TemporaryDirectory() as directory:
            events = _run(loaded, Path(directory))
    except subprocess.TimeoutExpired:
        return f"the trial of wake-ups did not end within {_TIMEOUT_S} s"
    except OSError as error:
        return f"the trial of wake-ups failed: {error}"
    sends = [event for event in events if isinstance(event, SocketEvent) and event.kind == Kind.SEND]
    calls = [event for event in sends if event.head == b"call"]
    timers = [event for event in sends if event.head == b"timer"]
    if not timers or not any(event.cause_ns > 0 for event in calls):
        return "this kernel does not show which system call wakes a thread"
    if any(event.cause_ns > calls[-1].ns for event in timers):
        return "this kernel does not show whether a system call or a timer wakes a thread"
    return ""


def _run(loaded: BpfLoaded, directory: Path) -> list[Event]:
    boundaries = directory / "boundaries"
    os.mkfifo(boundaries)
    command = (*_AFTER_ROOT, sys.executable, "-I", "-S", "-c", _PROGRAM, str(directory))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        try:
            with closing(loaded.trace(child.pid, boundaries)) as session:
                _, errors = child.communicate(b"go\n", timeout=_TIMEOUT_S)
                events = [*session.drain()]
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise OSError(errors.decode(errors="replace").strip().rpartition("\n")[2])
    return events
