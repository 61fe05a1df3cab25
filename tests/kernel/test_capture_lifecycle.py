"""From start to close: what is loaded goes again, whatever happens, and two captures don't know each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kernel.traced import HOLD, Peers, backend, capturing, new_capture, run_planted, script
from tracer.errors import SvcTraceError
from tracer.record.capture.backends import StartingCapture
from tracer.record.capture.bpf import libbpf
from tracer.record.capture.protocol import Kind

pytestmark = [pytest.mark.kernel, pytest.mark.probes]


def test_close_may_be_called_at_any_time_and_twice() -> None:
    capture = new_capture()
    capture.close()
    capture.start()
    capture.close()
    capture.close()
    assert capture.lost_events() == 0


def test_a_capture_can_start_again(peers: Peers) -> None:
    capture = new_capture()
    for _ in range(2):
        capture.start()
        run_planted(capture, *script("create_connection(P.tcp)", peers))
        kinds = [event.kind for event in capture.drain()]
        assert (kinds.count(Kind.CONNECT), kinds.count(Kind.EXIT)) == (1, 1)
        capture.close()


def test_auto_is_the_first_that_can() -> None:
    capture = StartingCapture("auto", print).result()
    capture.close()
    assert capture.name == "libbpf"


def test_an_object_that_is_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "svc_trace.bpf.o"
    broken.write_bytes(libbpf.OBJECT.read_bytes()[:1000])
    monkeypatch.setattr(libbpf, "OBJECT", broken)
    starting = StartingCapture("libbpf", print)
    with pytest.raises(SvcTraceError) as caught:
        starting.result()
    assert caught.value.slug == "load-failed"
    assert caught.value.message.count("\n") == 0


def test_two_captures_have_a_tree_each(peers: Peers) -> None:
    text = "for turn in range(int(sys.argv[2])): create_connection(P.tcp).send(b'1')"
    with capturing() as first, capturing() as second:
        run_planted(first, *script(text, peers, "3"))
        run_planted(second, *script(text, peers, "5"))
        sends = [[event for event in capture.drain() if event.kind == Kind.SEND] for capture in (first, second)]
    assert [len(told) for told in sends] == [3, 5]
    assert {event.process for told in sends for event in told} == {1}


def test_a_killed_tracer_takes_its_programs_along() -> None:
    """They are looked for after the module's tests."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, backend()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        holder.kill()
    assert holder.returncode == -9
