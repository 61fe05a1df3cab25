"""Faults of the system: a message, a status of svc-trace's own, and nothing left; what was recorded is kept."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tracer.cli import COMMANDS
from tracer.errors import ExitStatus

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount and limit")]

TRACER: Final = (sys.executable, "-m", "tracer")
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
KEPT: Final = re.compile(
    r"^svc-trace: The trace is kept\. Make the report from it: svc-trace report (\S+) -o PATH$", re.M
)
SEND: Final = """
import socket
def test_it():
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"count:1|c", ("127.0.0.1", 8125))
"""
# Tests whose ids do not shrink much: their report is larger than a pipe, and their trace larger than all buffers.
MANY: Final = """
import random, pytest
random.seed(0)
@pytest.mark.parametrize("value", [random.randbytes(150).hex() for _ in range(2000)])
def test_it(value): pass
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """The directory for temporary files; a run leaves nothing in it but what a test removes."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    yield directory
    assert list(directory.iterdir()) == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "test_it.py").write_text(SEND)
    return directory


def environment(temporary: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SUDO_"))}
    return kept | {"TMPDIR": str(temporary)} | variables


def run(
    project: Path, temporary: Path, *arguments: str, before: str = ":", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run svc-trace in a mount namespace of its own, after a preparation in the shell."""
    script = f"{before}\nexec {shlex.join([*TRACER, *arguments])}"
    return subprocess.run(
        ["unshare", "--mount", "bash", "-ec", script],
        cwd=project, env=environment(temporary, **variables), capture_output=True, text=True, check=False,
    )  # fmt: skip


def assert_error(done: subprocess.CompletedProcess[str], status: ExitStatus, slug: str) -> None:
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    (index,) = [index for index, line in enumerate(lines) if line.startswith("svc-trace: error: ")]
    wrong, hint = lines[index : index + 2]
    assert wrong.endswith(f"[{slug}]")
    assert hint.startswith("  ")


def take_kept(done: subprocess.CompletedProcess[str], directory: Path) -> dict[str, Any]:
    """The report of the trace that the message names, made as it says; removes the trace."""
    found = KEPT.search(done.stderr)
    assert found, done.stderr
    trace = Path(found[1])
    assert trace.stat().st_mode & 0o777 == 0o600
    report = directory / "from-kept.json"
    subprocess.run([*TRACER, "report", trace, "-o", report], check=True, capture_output=True)
    trace.unlink()
    made: dict[str, Any] = json.loads(report.read_text())
    return made


def test_a_report_that_the_disk_has_no_space_for(project: Path, temporary: Path) -> None:
    fill = f"dd if=/dev/zero of=out/fill bs=4k 2>/dev/null; {shlex.join(PYTEST)}"
    disk = "mkdir out; mount -t tmpfs -o size=64k none out"
    done = run(project, temporary, "-q", "-o", "out/report.json", "--", "sh", "-c", fill, before=disk)
    assert_error(done, ExitStatus.CANNOT_WRITE, "cannot-write")
    assert take_kept(done, project)["summary"]["services"] == {"statsd": 1}


def test_a_report_to_a_full_device(project: Path, temporary: Path) -> None:
    done = run(project, temporary, "-q", "-o", "/dev/full", "--", *PYTEST)
    assert_error(done, ExitStatus.CANNOT_WRITE, "cannot-write")
    assert take_kept(done, project)["summary"]["services"] == {"statsd": 1}


def test_a_report_that_cannot_be_renamed(project: Path, temporary: Path) -> None:
    done = run(
        project, temporary, "-q", "-o", "report.json", "--", "sh", "-c", f"{shlex.join(PYTEST)}; mkdir report.json"
    )
    assert_error(done, ExitStatus.CANNOT_WRITE, "cannot-write")
    assert take_kept(done, project)["summary"]["services"] == {"statsd": 1}


def test_a_named_trace_is_where_it_should_be(project: Path, temporary: Path) -> None:
    done = run(project, temporary, "-q", "--trace", "run.svctrace", "-o", "/dev/full", "--", *PYTEST)
    found = KEPT.search(done.stderr)
    assert found
    assert Path(found[1]) == project / "run.svctrace"


def test_a_trace_that_cannot_be_written_to_its_end(project: Path, temporary: Path) -> None:
    """The rest can be read, and the command is not disturbed."""
    (project / "test_it.py").write_text(MANY)
    limit = "ulimit -f 100"  # KiB
    done = run(
        project,
        temporary,
        "-q",
        "-o",
        "report.json",
        "--",
        "sh",
        "-c",
        f"{shlex.join(PYTEST)} | tail -n1",
        before=limit,
    )
    assert_error(done, ExitStatus.CANNOT_WRITE, "cannot-write")
    assert "File too large" in done.stderr
    assert "2000 passed" in done.stdout
    report = take_kept(done, project)
    assert not report["run"]["complete"]
    assert 0 < len(report["tests"]) < 2000


def test_an_interrupt_while_the_report_is_written(project: Path, temporary: Path) -> None:
    (project / "test_it.py").write_text(MANY)
    command = [*TRACER, "-q", "-o", "/dev/stdout", "--", "sh", "-c", f"{shlex.join(PYTEST)} >/dev/null"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=project, env=environment(temporary), **streams) as process:  # type: ignore[call-overload]
        process.stdout.read(1)  # the rest does not fit into the pipe
        process.send_signal(signal.SIGINT)
        error = process.stderr.read().decode()
        process.stdout.read()
    done = subprocess.CompletedProcess(command, process.returncode, "", error)
    assert done.returncode == 130
    assert len(take_kept(done, project)["tests"]) == 2000
    assert len(error.splitlines()) == 1


def test_a_run_directory_that_the_suite_removes(project: Path, temporary: Path) -> None:
    """There is a report, but a pytest that starts later cannot report."""
    (project / "test_it.py").write_text(f"{SEND}    import os, shutil\n    shutil.rmtree(os.environ['TMPDIR'])\n")
    done = run(project, temporary, "-q", "--strict", "-o", "report.json", "--", *PYTEST)
    temporary.mkdir()
    assert_error(done, ExitStatus.INCOMPLETE, "incomplete")
    report = json.loads((project / "report.json").read_text())
    assert report["tests"]["test_it.py::test_it"]["services"] == ["statsd"]
    assert [warning["slug"] for warning in report["run"]["warnings"]] == ["damaged-run-directory"]


@pytest.mark.parametrize("damage", ["rm $SVC_TRACE_FIFO", "rm $SVC_TRACE_FIFO; mkfifo $SVC_TRACE_FIFO"])
def test_a_fifo_that_the_suite_removes(damage: str, project: Path, temporary: Path) -> None:
    done = run(project, temporary, "-q", "--strict", "--", "sh", "-c", f"{shlex.join(PYTEST)}; {damage}")
    assert_error(done, ExitStatus.INCOMPLETE, "incomplete")
    warnings = json.loads((project / "svc-trace.json").read_text())["run"]["warnings"]
    assert [warning["slug"] for warning in warnings] == ["damaged-run-directory"]


@pytest.mark.parametrize("replacement", ["mkfifo", "ln -s /dev/zero"])
@pytest.mark.parametrize("named", [False, True], ids=["in the run's directory", "named"])
def test_a_trace_that_the_suite_replaces(named: bool, replacement: str, project: Path, temporary: Path) -> None:
    trace = str(project / "run.svctrace.partial" if named else "${SVC_TRACE_FIFO%/*}/trace.svctrace.partial")
    suite = f"{shlex.join(PYTEST)} && rm {trace} && {replacement} {trace}"
    options = ("--trace", "run.svctrace") if named else ()
    done = run(project, temporary, "-q", *options, "-o", "report.json", "--", "sh", "-c", suite)
    if named:
        assert_error(done, ExitStatus.CANNOT_WRITE, "cannot-write")
        report = take_kept(done, project)
    else:
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads((project / "report.json").read_text())
    assert report["run"]["complete"]
    assert report["summary"]["services"] == {"statsd": 1}


def test_a_forged_number_of_a_packet(project: Path, temporary: Path) -> None:
    """It is counted once, and not as 2**62 lost packets."""
    forge = f"""
import os
def test_it():
    namespace = os.stat("/proc/self/ns/pid").st_ino
    with open(os.environ["SVC_TRACE_FIFO"], "w") as fifo:
        fifo.write(f"[{{namespace}},{{os.getpid()}},{{os.getpid()}},{2**62},[]]\\n")
        fifo.write(f"+{{namespace}},{{os.getpid()}},{{os.getpid()}},{2**62},0,2,[\\n")
"""
    (project / "test_it.py").write_text(forge)
    done = run(project, temporary, "-q", "--strict", "-o", "report.json", "--", *PYTEST)
    assert_error(done, ExitStatus.INCOMPLETE, "incomplete")
    report = json.loads((project / "report.json").read_text())
    (warning,) = report["run"]["warnings"]
    assert warning["slug"] == "lost-boundaries"
    assert warning["message"].startswith("2 of the hook's records were lost")


FULL: Final = "mount -t tmpfs -o size=1m none $TMPDIR; dd if=/dev/zero of=$TMPDIR/fill bs=4k 2>/dev/null || true"
"""A full disk for temporary files."""
ALMOST_FULL: Final = f"{FULL}; truncate -s -8k $TMPDIR/fill"
NO_INODES: Final = "mount -t tmpfs -o nr_inodes=3 none $TMPDIR"


@pytest.mark.parametrize(
    ("before", "variables", "status", "slug"),
    [
        pytest.param(ALMOST_FULL, {}, 71, "system-error", id="almost full disk"),
        pytest.param(NO_INODES, {}, 71, "system-error", id="no inodes"),
        pytest.param("ulimit -f 1", {}, 71, "system-error", id="RLIMIT_FSIZE"),
        pytest.param("ulimit -n 20", {}, 69, "few-descriptors", id="RLIMIT_NOFILE"),
        pytest.param("mkdir gone; cd gone; rmdir ../gone", {}, 71, "no-working-directory", id="deleted directory"),
        pytest.param(
            "chown 1 .; chmod 700 .; set -- setpriv --bounding-set=-dac_override,-dac_read_search",
            {}, 73, "cannot-write", id="forbidden directory",
        ),
        pytest.param("mount -t tmpfs -o ro none out", {}, 73, "cannot-write", id="read-only output directory"),
        pytest.param("rmdir out", {}, 73, "cannot-write", id="no output directory"),
        pytest.param(":", {"SVC_TRACE_SENDS": "magic"}, 64, "bad-sends", id="SVC_TRACE_SENDS"),
    ],
)  # fmt: skip
def test_what_is_refused_before_the_command_begins(
    before: str, variables: dict[str, str], status: int, slug: str, project: Path, temporary: Path
) -> None:
    (project / "out").mkdir()
    limited = f"{before}\nleft() {{ ls -A $TMPDIR | grep -v fill >{project}/left || true; }}; trap left EXIT; set +e"
    script = f'{limited}\n"$@" {shlex.join([*TRACER, "-q", "-o", "out/report.json", "--", "touch", "begun"])}; exit $?'
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-ec", script],
        cwd=project, env=environment(temporary, **variables), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert_error(done, ExitStatus(status), slug)
    assert len(done.stderr.splitlines()) == 2
    assert ("mkdir -p out" in done.stderr) == (before == "rmdir out")
    assert not (project / "begun").exists()
    assert (project / "left").read_text() == ""


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of its own with the controller `pids`."""
    base = Path("/sys/fs/cgroup/pids")  # version 1
    if not base.exists():
        base = base.parent
        (base / "cgroup.subtree_control").write_text("+pids")
    group = base / f"svc-trace-tests-{os.getpid()}"
    group.mkdir()
    yield group
    group.rmdir()


def test_a_limit_of_processes(cgroup: Path, project: Path, temporary: Path) -> None:
    (cgroup / "pids.max").write_text("1")
    done = run(project, temporary, "-q", "--", "touch", "begun", before=f"echo $$ >{cgroup}/cgroup.procs")
    assert_error(done, ExitStatus.SYSTEM, "system-error")
    assert "pids.max" in done.stderr
    assert not (project / "begun").exists()


@pytest.mark.parametrize("call", [1, *range(20, 201, 20)])
def test_an_interrupt_at_any_moment_of_the_start(call: int, project: Path, temporary: Path) -> None:
    """It gets SIGINT when it opens its Nth file. The first one is opened before it can block signals."""
    svc_trace = Path(sys.executable).with_name("svc-trace")
    at = ("--quiet=all", "--output=/dev/null", "--trace=openat", f"--inject=openat:signal=SIGINT:when={call}")
    done = subprocess.run(
        ["strace", *at, svc_trace, "-q", "--backend", "libbpf", "--", "sleep", "9"],
        cwd=project, env=environment(temporary), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == (-signal.SIGINT if call == 1 else 130)
    assert done.stderr == ""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one test, with a configuration beside it."""
    directory = tmp_path_factory.mktemp("report")
    (directory / "test_it.py").write_text(SEND)
    (directory / "svc-trace.toml").write_text('[[tiers]]\nname = "none"\nwithin = []\n[[tiers]]\nname = "rest"\n')
    subprocess.run([*TRACER, "-q", "-o", "report.json", "--", *PYTEST], cwd=directory, check=True, capture_output=True)
    return directory / "report.json"


PRINTING: Final = {
    "report": "report report.json",
    "validate": "validate report.json",
    "explain": "explain report.json test_it.py::test_it",
    "diff": "diff report.json report.json",
    "select": "select report.json --within statsd",
    "merge": "merge report.json -o merged.json",
    "verify": "verify --without statsd --against report.json report.json",
    "plan": "plan report.json --shards 2",
    "export": "export report.json --format parquet -o history",
    "init": "init --print",
    "config": "config",
    "doctor": "doctor",
}


def test_every_command_that_prints_is_tried() -> None:
    assert {*PRINTING} == {*COMMANDS} - {"run"}


@pytest.mark.parametrize("line", [*PRINTING.values(), "report report.json --format json", "--help", "--version"])
@pytest.mark.parametrize("stdout", [">&-", ">/dev/full"])
def test_a_stdout_that_cannot_be_written(stdout: str, line: str, report: Path) -> None:
    script = f"{shlex.join(TRACER)} {line} {stdout}"
    done = subprocess.run(["sh", "-c", script], cwd=report.parent, capture_output=True, text=True, check=False)
    assert_error(done, ExitStatus.CANNOT_WRITE, "cannot-write")
    assert "stdout" in done.stderr


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full"])
def test_the_command_has_the_same_streams(backend: str, streams: str, project: Path, temporary: Path) -> None:
    """Closed streams stay closed for the command, and its own status is passed on."""
    command = shlex.join([sys.executable, "-c", "import os; os.write(1, b'x')"])

    def status(before: str) -> int:
        script = f"{before} sh -c {shlex.quote(f'{command} 2>/dev/null; exit $((3 + $?))')} {streams}"
        return subprocess.run(["sh", "-c", script], cwd=project, env=environment(temporary), check=False).returncode

    assert status("") == 4
    assert status(shlex.join([*TRACER, "--backend", backend, "--"])) == 4
    assert json.loads((project / "svc-trace.json").read_text())["run"]["exit_status"] == 4


@pytest.mark.parametrize("before", ["2>&-", "2>/dev/full"])
def test_a_message_that_cannot_be_printed(before: str, project: Path) -> None:
    """The status remains."""
    script = f"{shlex.join(TRACER)} report missing.json {before}"
    assert subprocess.run(["sh", "-c", script], cwd=project, check=False).returncode == ExitStatus.BAD_INPUT
