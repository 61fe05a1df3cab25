"""From start to close: what is loaded goes again, whatever happens, and two captures don't know each other."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kernel.traced import HOLD, Peers, backend, capturing, ended, running, script
from tracer.errors import SvcTraceError
from tracer.record.capture.backends import BACKENDS, StartingBackend
from tracer.record.capture.bpf import libbpf, programs
from tracer.record.capture.protocol import Kind

pytestmark = [pytest.mark.kernel, pytest.mark.probes]


def test_close_may_be_called_twice() -> None:
    with capturing() as loaded:
        with running(loaded, "true") as command:
            pass
        command.session.close()
        loaded.close()


def test_a_backend_can_start_again(peers: Peers) -> None:
    capture = BACKENDS[backend()]()
    for _ in range(2):
        with closing(capture.start()) as loaded, ended(loaded, *script("create_connection(P.tcp)", peers)) as command:
            kinds = [event.kind for event in command.session.drain()]
            assert (kinds.count(Kind.CONNECT), kinds.count(Kind.EXIT)) == (1, 1)


def test_auto_is_the_first_that_can() -> None:
    loaded = StartingBackend("auto", print).result()
    loaded.close()
    assert loaded.name == "libbpf"


def test_an_object_that_is_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "svc_trace.bpf.o"
    broken.write_bytes(programs.OBJECT.read_bytes()[:1000])
    monkeypatch.setattr(libbpf, "OBJECT", broken)
    starting = StartingBackend("libbpf", print)
    with pytest.raises(SvcTraceError) as caught:
        starting.result()
    assert caught.value.slug == "load-failed"
    assert caught.value.message.count("\n") == 0


def test_two_captures_have_a_tree_each(peers: Peers) -> None:
    text = "for turn in range(int(sys.argv[2])): create_connection(P.tcp).send(b'1')"
    with (
        capturing() as first,
        capturing() as second,
        ended(first, *script(text, peers, "3")) as three,
        ended(second, *script(text, peers, "5")) as five,
    ):
        sends = [[event for event in one.session.drain() if event.kind == Kind.SEND] for one in (three, five)]
    assert [len(events) for events in sends] == [3, 5]
    assert {event.process for events in sends for event in events} == {1}


def test_a_killed_tracer_takes_its_programs_along() -> None:
    """They are looked for after the module's tests."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, backend()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        holder.kill()
    assert holder.returncode == -9


def test_the_kernel_wakes_the_reader_of_a_ring_buffer_that_fills(peers: Peers, tmp_path: Path) -> None:
    text = """
    sender, asked, answers = socket(AF_INET, SOCK_DGRAM), open(sys.argv[2]), open(sys.argv[3], "w")
    for number in asked:
        for _ in range(int(number)):
            sender.sendto(b"1", P.udp)
        print("done", file=answers, flush=True)
    """
    asking, answering = tmp_path / "asking", tmp_path / "answering"
    for fifo in (asking, answering):
        os.mkfifo(fifo)
    with capturing() as loaded, running(loaded, *script(text, peers, str(asking), str(answering))) as command:
        ring = command.session.ring
        with asking.open("w") as numbers, answering.open() as answers, closing(select.epoll()) as woken:

            def send(number: int) -> None:
                print(number, file=numbers, flush=True)
                assert answers.readline() == "done\n"

            send(1)
            if ring is not None:  # strace has none
                woken.register(ring, select.EPOLLIN | select.EPOLLET)
                woken.poll(0)  # the program's start
                send(100)
                assert woken.poll(0) == []
                send(20_000)
                assert woken.poll(1) == [(ring, select.EPOLLIN)]
            assert [*command.session.drain()]
            assert command.session.lost() == command.lost_before
