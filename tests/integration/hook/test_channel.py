"""The channel: its descriptor, and a FIFO that is full, gone or out of reach."""

from __future__ import annotations

import time
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from hook.suites import Environment, plain, run
from tracer.record.boundary import fifo as reading_end
from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.messages import Open
from tracer.record.boundary.svc_trace_hook.channel import HIGH, OFF

LOWERED_LIMITS: Final = {
    "limit lowered": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "descriptors closed, limit lowered": """
        import resource
        os.closerange(3, 4096)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        for _ in range(50): os.open(os.devnull, os.O_RDWR)
        """,
}


@pytest.mark.parametrize("lowered", LOWERED_LIMITS)
def test_a_lowered_limit_loses_nothing(environment: Environment, tmp_path: Path, lowered: str) -> None:
    body = dedent(LOWERED_LIMITS[lowered]).strip().replace("\n", "\n    ")
    source = f"def test_a():\n    {body}\ndef test_b(): pass"
    reported = run(environment, tmp_path, source, "-s", "-p", "no:logging", "-p", "no:faulthandler")
    assert reported.status == 0, reported.output
    assert reported.steps() == plain("test_a") + plain("test_b")
    assert (reported.lost, reported.malformed) == (0, 0)


def test_exhausted_descriptors_lose_packets_and_no_more(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        """
        import resource
        opened = []
        def test_a():
            os.closerange(100, 4096)
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            with pytest.raises(OSError):
                while True: opened.append(os.open(os.devnull, os.O_RDONLY))
        def test_b():
            while opened: os.close(opened.pop())
        def test_c(): pass
        """,
    )
    assert reported.status == 0, reported.output
    assert reported.steps()[-4:] == plain("test_c")
    assert 0 < reported.lost <= 4


def test_the_hook_takes_no_low_descriptor(environment: Environment, tmp_path: Path) -> None:
    source = "def test_a():\n    low = os.open(os.devnull, os.O_RDONLY)\n    print('lowest', low)\n    os.close(low)"
    reported = run(environment, tmp_path, source, "-s")
    _, bare = environment.run(tmp_path / "suite", "-s", fifo=None)
    lowest = [line for line in bare.splitlines() if "lowest" in line]
    assert len(lowest) == 1
    assert lowest == [line for line in reported.output.splitlines() if "lowest" in line]


@pytest.mark.parametrize(
    ("limits", "lowest"),
    [
        ((20_000, 20_000), HIGH),
        ((1024, 20_000), HIGH),
        ((1024, HIGH + 1), HIGH),
        ((HIGH, HIGH + 10), HIGH),
        ((1024, HIGH), 200),
        ((64, 64), 32),
    ],
)
def test_the_descriptor_is_as_high_as_possible_and_no_other_is_taken_for_it(
    environment: Environment, tmp_path: Path, limits: tuple[int, int], lowest: int
) -> None:
    reported = run(
        environment,
        tmp_path,
        f"""
        import resource
        def ours():
            links = {{fd: os.path.realpath(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd")}}
            (fd,) = [int(fd) for fd, name in links.items() if name == os.path.realpath(os.environ["SVC_TRACE_FIFO"])]
            return fd
        def check():
            assert {lowest} <= ours() < {lowest} + 10
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == {limits}
        def test_a():
            check()
            os.close(ours())
        def test_b():
            check()
            fd = ours()
            os.close(fd)
            if fd < {HIGH}:
                other = os.open("other", os.O_CREAT | os.O_WRONLY)
                os.dup2(other, fd)
        def test_c(): pass
        """,
        limits=limits,
    )
    assert reported.status == 0, reported.output
    assert reported.steps() == plain("test_a") + plain("test_b") + plain("test_c")
    assert (reported.lost, reported.malformed) == (0, 0)
    other = tmp_path / "suite" / "other"
    assert other.exists() == (lowest < HIGH)
    assert lowest >= HIGH or other.read_text() == ""


def test_nothing_reads_any_more(environment: Environment, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_it.py").write_text(
        dedent("""
        import signal, sys
        def test_before():
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            print("at the gate", flush=True)
            assert sys.stdin.read() == ""
        def test_after(): pass
        """)
    )
    with Fifo(tmp_path / "fifo") as fifo:
        child = environment.start(suite, "-s", fifo=fifo.path)
        assert child.stdout is not None
        assert any("at the gate" in line for line in child.stdout)
    with child:
        output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "2 passed" in output


def test_a_full_pipe_costs_a_second_and_no_more(environment: Environment, tmp_path: Path) -> None:
    source = "@pytest.mark.parametrize('n', range(150), ids=lambda n: str(n) + 'x' * 10_000)\ndef test_a(n): pass"
    began = time.monotonic()
    reported = run(environment, tmp_path, source, "-q")
    between = time.monotonic()
    status, _ = environment.run(tmp_path / "suite", "-q", fifo=None)
    bare_s = time.monotonic() - between
    assert reported.status == status == 0
    subjects = [message.subject for message in reported.messages() if isinstance(message, Open)]
    assert sum(len(subject) for subject in subjects if isinstance(subject, str)) > 500_000
    assert reported.packets[-1].seq < 4 * 150  # it was off before the end
    assert between - began < 3 * bare_s + 5  # without the limit, it would be minutes


def test_a_hook_that_turns_itself_off_leaves_a_file(environment: Environment, tmp_path: Path) -> None:
    assert OFF == reading_end.OFF
    (tmp_path / "test_it.py").write_text(
        "import gc\n"
        "def test_it():\n"
        "    channel = next(each for each in gc.get_objects() if type(each).__name__ == 'Channel')\n"
        "    channel._seq = None\n"
        "def test_again(): pass\n"
    )
    with Fifo(tmp_path / "fifo") as fifo:
        assert not fifo.silenced
        status, output = environment.run(tmp_path, fifo=fifo.path)
        assert (status, fifo.silenced) == (0, True), output
