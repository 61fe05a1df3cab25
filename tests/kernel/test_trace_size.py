"""The size of a trace grows with the number of different flows, not with the number of sends."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from kernel.traced import Peers, capturing, ended, script
from tracer.record.recorder import Recorder
from tracer.trace.file import TraceWriter

pytestmark = [pytest.mark.kernel, pytest.mark.probes]

ROUNDING = 64  # bytes: more digits, and the first bytes of a second, third and fourth send


def recorded(path: Path, peers: Peers, sends: int) -> Path:
    """The trace of a program that sends so often."""
    text = """
        s = socket(type=SOCK_DGRAM)
        s.connect(P.udp)
        for turn in range(int(sys.argv[2])): s.send(b"x")
    """
    command = script(text, peers, str(sends))
    with capturing() as loaded, ended(loaded, *command) as traced, TraceWriter(path) as writer:
        recorder = Recorder(writer)
        recorder.turn(traced.session.drain, list)
        recorder.turn(traced.session.drain, list)
        recorder.finish(time.monotonic_ns())
        assert traced.session.lost() == 0
    return path


def test_many_sends_take_no_more_room_than_one(peers: Peers, tmp_path: Path) -> None:
    lines = {}
    for sends in 1, 30_000:
        trace = gzip.decompress(recorded(tmp_path / str(sends), peers, sends).read_bytes())
        lines[sends] = trace.splitlines()
        (flow,) = [line for line in lines[sends] if line.startswith(b'["flow",')]
        assert f",{sends},{sends},0,0,".encode() in flow
    assert len(lines[30_000]) == len(lines[1])
    assert sum(map(len, lines[30_000])) <= sum(map(len, lines[1])) + ROUNDING
