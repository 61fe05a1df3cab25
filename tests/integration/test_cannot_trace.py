"""What is missing is said in two lines, with a status of its own, before the command begins."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import User, new_user

from tracer.errors import ExitStatus
from tracer.record.capture.bpf.bcc_loader import installed
from tracer.record.capture.bpf.programs import OBJECT

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can take away what is missing here"),
]

LIBBPF = "ldconfig -p | sed -n 's/.*libbpf.so.1 .*=> //p' | xargs readlink -f"


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


def run(
    directory: Path, preparation: str = "", *before: str, backend: str = "libbpf", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Trace `touch begun` as root in a mount namespace of its own, after a preparation in the shell."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    command = shlex.join([*before, sys.executable, "-m", "tracer", "-q", "--backend", backend, "--", "touch", "begun"])
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f"{preparation}\nexec {command}"],
        cwd=directory, env=own | environment, capture_output=True, text=True,
    )  # fmt: skip


def assert_cannot(done: subprocess.CompletedProcess[str], slug: str, directory: Path) -> str:
    """It ended with two lines and without having begun; returns the hint."""
    assert done.returncode == ExitStatus.CANNOT_TRACE, done.stderr
    wrong, hint = done.stderr.splitlines()
    assert wrong.startswith("svc-trace: error: ")
    assert wrong.endswith(f"[{slug}]")
    assert done.stdout == ""
    assert list(directory.glob("begun")) == []
    return hint


def test_it_can_where_nothing_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "begun").exists()


def test_without_root(user: User) -> None:
    command = (user.python, "-m", "tracer", "-q", "--backend", "libbpf", "--", "touch", "begun")
    bytes_ = user.run(*command)
    done = subprocess.CompletedProcess(bytes_.args, bytes_.returncode, bytes_.stdout.decode(), bytes_.stderr.decode())
    assert f"{user.python} -I -m tracer --sudo -- COMMAND" in assert_cannot(done, "not-root", user.home)


def test_refusing_services_without_root(user: User) -> None:
    """The backend strace needs no root, but it cannot refuse."""
    command = (user.python, "-m", "tracer", "-q", "--backend", "strace", "--only", "postgres", "--", "touch", "begun")
    bytes_ = user.run(*command)
    done = subprocess.CompletedProcess(bytes_.args, bytes_.returncode, bytes_.stdout.decode(), bytes_.stderr.decode())
    assert "--sudo" in assert_cannot(done, "not-root", user.home)
    assert "refusing services, with every backend, needs root" in done.stderr


def test_without_libbpf(tmp_path: Path) -> None:
    done = run(tmp_path, f"for file in $({LIBBPF}); do mount --bind /dev/null $file; done")
    assert "apt-get install libbpf1" in assert_cannot(done, "no-libbpf", tmp_path)


def test_without_types_of_the_kernel(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_cannot(run(tmp_path, f"mount --bind {empty} /sys/kernel/btf"), "no-btf", tmp_path)


def test_without_compiled_probes(tmp_path: Path) -> None:
    """As in a checkout that was never built."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(tmp_path, f"mount --bind {empty} {OBJECT.parent}")
    assert str(OBJECT) in done.stderr
    assert_cannot(done, "no-probes", tmp_path)


def test_without_the_right_to_load(tmp_path: Path) -> None:
    """As root in an ordinary container."""
    done = run(tmp_path, "", "setpriv", "--bounding-set", "-sys_admin,-bpf,-perfmon")
    assert "--privileged" in assert_cannot(done, "bpf-forbidden", tmp_path)


def test_without_bcc(tmp_path: Path) -> None:
    """As if it was never installed: a package of that name in a virtual environment is PyPI's."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(tmp_path, f"mount --bind {empty} {installed()}/bcc", backend="bcc")
    assert "apt-get install python3-bpfcc" in assert_cannot(done, "no-bcc", tmp_path)


def test_another_bcc_is_not_met(tmp_path: Path) -> None:
    """As PyPI's, which is no compiler."""
    package = tmp_path / "bcc"
    package.mkdir()
    (package / "__init__.py").write_text("raise NotImplementedError")
    done = run(tmp_path, backend="bcc", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "begun").exists()


def backend_of(directory: Path) -> str:
    name: str = json.loads((directory / "svc-trace.json").read_bytes())["run"]["backend"]
    return name


def test_auto_takes_the_first_that_works(tmp_path: Path) -> None:
    done = run(tmp_path, f"mount --bind /dev/null {OBJECT}", backend="auto")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # as -q asks
    assert backend_of(tmp_path) == "bcc"


AS_ROOT = "svc-trace: traced by strace; as root it would be libbpf: "


@pytest.mark.parametrize("program", ["svc-trace", "{home}/venv/bin/svc-trace", "{python} -m tracer"])
def test_auto_needs_no_root_and_prints_the_command_for_root(program: str, user: User) -> None:
    """The printed line works as it is, where it was printed."""
    words = program.format(home=user.home, python=user.python).split()
    done = user.run(*words, "--tests", "--", "echo", "a  b", "it's", "--sudo")
    assert done.returncode == 0, done.stderr
    assert backend_of(user.home) == "strace"
    first = done.stderr.decode().splitlines()[0]
    assert first.startswith(AS_ROOT)
    line = first.removeprefix(AS_ROOT)
    own = f"{user.python} -I -m tracer" if "tracer" in words else "svc-trace"
    assert line == f"""{own} --sudo --tests -- echo 'a  b' 'it'"'"'s' --sudo"""
    again = user.run("sh", "-c", line)
    assert (again.returncode, again.stdout) == (0, b"a  b it's --sudo\n"), again.stderr
    assert backend_of(user.home) == "libbpf"


def test_a_program_that_is_not_in_path_is_printed_with_its_path(user: User) -> None:
    done = user.run(user.program, "--", "true", env={"PATH": "/usr/bin:/bin"})
    assert done.stderr.decode().splitlines()[0] == f"{AS_ROOT}{user.program} --sudo -- true"


@pytest.mark.parametrize(
    "before",
    [
        ("setpriv", "--bounding-set", "-sys_admin,-bpf,-perfmon"),  # an ordinary container
        ("setpriv", "--no-new-privs"),
        ("unshare", "--user", "--map-current-user"),
    ],
    ids=lambda words: words[1],
)
def test_where_root_could_do_no_more_the_reason_is_printed(before: tuple[str, ...], user: User) -> None:
    as_user = ("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups")
    words = (*before, *as_user) if "--bounding-set" in before else (*as_user, *before)
    done = subprocess.run([*words, user.program, "--", "true"], cwd=user.home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = done.stderr.splitlines()[0]
    assert first == "svc-trace: traced by strace. libbpf and bcc: loading the probes needs root"


def test_without_sudo_the_reason_is_printed(user: User) -> None:
    only = user.home / "only"
    only.mkdir()
    for name in ("strace", "true"):
        (only / name).symlink_to(f"/usr/bin/{name}")
    done = user.run(user.program, "--", "/bin/true", env={"PATH": str(only)})
    first = done.stderr.decode().splitlines()[0]
    assert first == "svc-trace: traced by strace. libbpf and bcc: loading the probes needs root"


def test_no_backend_can(tmp_path: Path) -> None:
    """As root in an ordinary container that has no strace."""
    no_strace = ("env", f"PATH={Path(sys.executable).parent}")
    done = run(tmp_path, "", "setpriv", "--bounding-set", "-sys_admin,-bpf,-perfmon", *no_strace, backend="auto")
    assert "svc-trace doctor" in assert_cannot(done, "no-backend", tmp_path)
    assert "apt-get install strace" not in done.stderr
    assert "libbpf" in done.stderr
    assert "strace" in done.stderr


def test_without_the_right_to_a_better_priority(tmp_path: Path) -> None:
    """It does without."""
    done = run(tmp_path, "", "setpriv", "--bounding-set", "-sys_nice")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "begun").exists()
