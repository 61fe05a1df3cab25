"""The user behind sudo, doas, pkexec and run0: found, with environment, groups, umask, limits and niceness."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from launched import ADDED, SYSTEM_PATH, User, new_user

from tracer.errors import ExitStatus
from tracer.record.capture.backends import BACKENDS
from tracer.record.invoker import Invoker

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make users and trace"),
]

PROCESS = """
import json, os, resource
limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
print(json.dumps({"uids": os.getresuid(), "gids": os.getresgid(), "groups": sorted(os.getgroups()), "limits": limits,
                  "directory": os.getcwd(), "umask": os.umask(0), "nice": os.nice(0), "environment": dict(os.environ)}))
"""
CAP_SYS_RESOURCE = 24  # linux/capability.h
DOAS_RULES = Path("/etc/doas.conf")


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


@contextmanager
def rules_of_doas(rules: str) -> Iterator[None]:
    """Add rules to those of this machine for a while, in one process at a time."""
    with Path("/run/lock/svc-trace-doas").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from _rules_of_doas(rules)


def _rules_of_doas(rules: str) -> Iterator[None]:
    before = DOAS_RULES.read_bytes() if DOAS_RULES.exists() else None
    DOAS_RULES.write_bytes((before or b"") + rules.encode())
    DOAS_RULES.chmod(0o400)
    try:
        yield
    finally:
        if before is None:
            DOAS_RULES.unlink()
        else:
            DOAS_RULES.write_bytes(before)


@pytest.fixture
def doas(user: User) -> Iterator[User]:
    """The user, who may use doas without a password."""
    with rules_of_doas(f"permit nopass {user.name}\npermit nopass keepenv {user.name} cmd env\n"):
        yield user


@pytest.fixture
def in_place() -> Iterator[tuple[str, ...]]:
    """A set-user-ID program that becomes root and executes its command in its own process, as pkexec does."""
    directory = Path("/usr/local/lib") / f"svc-trace-{os.getpid()}"  # /tmp may be mounted with nosuid
    directory.mkdir()
    program = directory / "setpriv"
    shutil.copy("/usr/bin/setpriv", program)
    program.chmod(0o4755)
    yield (str(program), "--reuid=0", "--regid=0", "--clear-groups")
    shutil.rmtree(directory)


def from_a_shell(user: User, *command: str) -> dict[str, Any]:
    """What a process finds that a shell of the user's starts, which has changed what processes inherit."""
    change = "mkdir -p work; cd work; export EXPORTED=later; umask 0027; ulimit -S -n 300; ulimit -H -n 400"
    change += "; renice -n 15 $$ >/dev/null"
    done = user.run("sh", "-c", f"{change}; {shlex.join(command)}; exit $?")
    assert (done.returncode, done.stderr) == (0, b"")
    return found(done.stdout)


def found(output: bytes) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(output)
    facts["environment"] = {name: value for name, value in facts["environment"].items() if name not in ADDED}
    return facts


def attainable(bare: dict[str, list[int]], given: dict[str, list[int]]) -> dict[str, list[int]]:
    """The user's limits, as far as they can be had: without CAP_SYS_RESOURCE, hard limits only get lower."""
    status = Path("/proc/self/status").read_text()
    if int(status.partition("CapEff:")[2].split()[0], 16) >> CAP_SYS_RESOURCE & 1:
        return bare
    return {name: [min(limit % 2**64, given[name][1] % 2**64) for limit in limits] for name, limits in bare.items()}


# What svc-trace must not pass on: the shell that sudo or doas starts differs in all of it.
AS_ROOT = ("sh", "-c", 'umask 0077; ulimit -S -n 250; renice -n 19 $$ >/dev/null; exec "$@"', "sh")


@pytest.mark.parametrize("program", ["sudo", "doas"])
def test_the_command_inherits_what_the_users_shell_gives_it(program: str, backend: str, doas: User) -> None:
    bare = from_a_shell(doas, "python", "-c", PROCESS)
    assert (bare["umask"], bare["limits"]["RLIMIT_NOFILE"], bare["nice"]) == (0o027, [300, 400], 15)
    assert bare["environment"]["EXPORTED"] == "later"
    as_root = from_a_shell(doas, program, "-n", *AS_ROOT, doas.python, "-c", PROCESS)
    assert (as_root["umask"], as_root["limits"]["RLIMIT_NOFILE"], as_root["nice"]) == (0o077, [250, 400], 19)
    own = (doas.program, "-q", "--backend", backend, "--")
    traced = from_a_shell(doas, program, "-n", *AS_ROOT, *own, "python", "-c", PROCESS)
    limits = {name: [limit % 2**64 for limit in pair] for name, pair in traced.pop("limits").items()}
    wanted = attainable(bare.pop("limits"), as_root["limits"])
    assert limits == {name: [limit % 2**64 for limit in pair] for name, pair in wanted.items()}
    assert traced == bare


@pytest.mark.parametrize("program", ["sudo", "doas"])
def test_sudo_starts_again_as_root_and_changes_nothing_for_the_command(program: str, doas: User) -> None:
    """As in a shell without svc-trace, but traced by what only root can load."""
    user = replace(doas, environment=doas.environment | {"SVC_TRACE_SUDO": f"{program} -n"})
    bare = from_a_shell(user, "python", "-c", PROCESS)
    as_root = from_a_shell(user, program, "-n", user.python, "-c", PROCESS)
    report = user.home / f"{program}.json"
    own = ("svc-trace", "--sudo", "-q", "-o", str(report), "--")
    traced = from_a_shell(user, *own, "python", "-c", PROCESS)
    assert report.stat().st_uid == user.uid
    assert json.loads(report.read_bytes())["run"]["backend"] == "libbpf"
    traced["limits"] = {name: [limit % 2**64 for limit in pair] for name, pair in traced["limits"].items()}
    wanted = attainable(bare["limits"], as_root["limits"])
    bare["limits"] = {name: [limit % 2**64 for limit in pair] for name, pair in wanted.items()}
    assert traced == bare


def test_sudo_passes_on_arguments_and_status(user: User) -> None:
    """The word `--sudo` may also be the value of an option, or the command's."""
    command = ("sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", "--sudo", "", "a b", "-o", "é\n")
    done = user.run(user.program, "run", "--sudo", "-qo", "--sudo", "--sudo", "--backend", "libbpf", "--", *command)
    assert (done.returncode, done.stdout.decode()) == (7, "--sudo||a b|-o|é\n|"), done.stderr
    (user.home / "--sudo").unlink()


def test_sudo_starts_its_own_path_only(user: User) -> None:
    """A rule for the installed program suffices, however it was named."""
    link = user.home / "link"
    link.symlink_to(user.program)
    with rules_of_doas(f"permit nopass {user.name} cmd {user.program}\n"):
        own = user.environment | {"SVC_TRACE_SUDO": "doas -n"}
        done = user.run("./link", "--sudo", "-q", "--backend", "libbpf", "--", "echo", "traced", env=own)
        refused = user.run("doas", "-n", "./link", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"traced\n", b"")
    assert refused.returncode == 1


@pytest.mark.parametrize(
    ("environment", "wrong"),
    [
        ({"PATH": "/nowhere"}, "there is no sudo, no doas, no run0"),
        ({"SVC_TRACE_SUDO": "no-such-program -n"}, "SVC_TRACE_SUDO is 'no-such-program -n', which is no program"),
        ({"SVC_TRACE_SUDO": "'"}, 'SVC_TRACE_SUDO is "\'", which is no program'),
        ({"SVC_TRACE_SUDO": " "}, "SVC_TRACE_SUDO is ' ', which is no program"),
    ],
)
def test_without_a_program_for_it_sudo_is_an_error(environment: dict[str, str], wrong: str, user: User) -> None:
    done = user.run(user.program, "--sudo", "--", "/bin/touch", "begun", env=user.environment | environment)
    error, hint = done.stderr.decode().splitlines()
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert error == f"svc-trace: error: cannot become root: {wrong} [no-sudo]"
    assert hint.startswith("  Install sudo, ")
    assert not (user.home / "begun").exists()


def test_a_program_that_does_not_make_root_is_started_once(user: User) -> None:
    own = user.environment | {"SVC_TRACE_SUDO": "env"}
    done = user.run(user.program, "--sudo", "--backend", "libbpf", "--", "true", env=own)
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert b"[not-root]" in done.stderr


def test_wrong_options_are_an_error_before_sudo_asks_for_a_password(user: User) -> None:
    own = user.environment | {"SVC_TRACE_SUDO": "touch asked"}
    for words in (["--sudo"], ["--sudo", "--backend", "x", "true"], ["--sudo", "--baseline", "missing", "true"]):
        done = user.run(user.program, *words, env=own)
        assert done.returncode in (ExitStatus.USAGE, ExitStatus.BAD_INPUT)
        assert not (user.home / "asked").exists()


def test_root_needs_no_sudo(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tracer", "--sudo", "-q", "--", "true")
    done = subprocess.run(command, env={"PATH": "/nowhere:/bin"}, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def as_the_user(user: User, traced: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """What the command found, which ran as the user."""
    assert (traced.returncode, traced.stderr) == (0, b"")
    facts = found(traced.stdout)
    assert (facts["uids"], facts["gids"], facts["groups"]) == ([user.uid] * 3, [user.gid] * 3, sorted(user.groups))
    return facts


def test_a_program_that_replaces_itself_leaves_the_users_shell(user: User, in_place: tuple[str, ...]) -> None:
    """pkexec, and doas without PAM: the nearest process with the user's id is the shell, as it began."""
    as_root = ("env", "-i", "PATH=/usr/bin:/bin", "HOME=/root", "USER=root", f"PKEXEC_UID={user.uid}")
    shell = (
        f"umask 0027; {shlex.join([*in_place, *as_root, user.program, '-q', '--', 'python', '-c', PROCESS])}; exit $?"
    )
    facts = as_the_user(user, user.run("sh", "-c", shell))
    assert facts["umask"] == 0o027
    assert facts["environment"] == user.environment


def test_without_a_process_of_the_users_the_account_counts(user: User) -> None:
    """run0: the manager of the system starts the command."""
    names = {"SUDO_USER": user.name, "SUDO_UID": str(user.uid), "SUDO_GID": str(user.gid)}
    own = {"PATH": SYSTEM_PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8"}
    command = (user.program, "-q", "--", "python", "-c", PROCESS)
    facts = as_the_user(user, subprocess.run(command, env=own | names, cwd=user.home, capture_output=True, check=False))
    account = {"HOME": str(user.home), "USER": user.name, "LOGNAME": user.name, "SHELL": "/bin/sh"}
    venv = {"VIRTUAL_ENV": f"{user.home}/venv", "PATH": f"{user.home}/venv/bin:{SYSTEM_PATH}"}
    assert facts["environment"] == own | account | venv


def through_the_manager(user: User, starter: subprocess.Popen[bytes]) -> subprocess.CompletedProcess[bytes]:
    """As run0 starts a command: no process above it is the user's, and the user's process waits for it elsewhere."""
    names = {"SUDO_USER": user.name, "SUDO_UID": str(user.uid), "SUDO_GID": str(user.gid)}
    own = {"PATH": SYSTEM_PATH, "HOME": "/root", "USER": "root", "INVOCATION_ID": "1"} | names
    own["SVC_TRACE_STARTED_BY"] = str(starter.pid)
    command = (user.program, "-q", "--", "python", "-c", PROCESS)
    return subprocess.run(command, env=own, cwd=user.home, capture_output=True, check=False)


@contextmanager
def started(user: User | None, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the user's, or of root's, that already executes its own program."""
    ids: dict[str, Any] = {"user": user.uid, "group": user.gid, "extra_groups": user.groups} if user else {}
    with subprocess.Popen(
        ["sh", "-c", "echo; read end"],
        env=environment,
        umask=0o027,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **ids,
    ) as process:
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_the_environment_is_that_of_the_process_that_started_run0(user: User) -> None:
    with started(user, user.environment) as starter:
        facts = as_the_user(user, through_the_manager(user, starter))
    assert facts["environment"] == user.environment
    assert facts["umask"] == 0o027


def test_the_process_that_started_run0_must_be_the_users(user: User) -> None:
    with started(None, user.environment | {"SECRET": "root's"}) as starter:
        facts = as_the_user(user, through_the_manager(user, starter))
    assert "SECRET" not in facts["environment"]


@pytest.mark.parametrize("uid", [0, 1])
def test_a_variable_that_doas_kept_does_not_count(uid: int, doas: User) -> None:
    """A user who may run only svc-trace would otherwise choose whose rights the command has."""
    own = (doas.program, "-q", "--", "python", "-c", PROCESS)
    shell = f"export SUDO_UID={uid} SUDO_GID={uid}; doas -n env {shlex.join(own)}; exit $?"
    as_the_user(doas, doas.run("sh", "-c", shell))


@pytest.mark.parametrize("claim", ["SUDO_UID=abc", "SUDO_UID=4294967295", "DOAS_USER=no-such-user", "PKEXEC_UID="])
def test_an_unknown_user_is_reported(claim: str, tmp_path: Path) -> None:
    name, value = claim.split("=")
    command = (sys.executable, "-m", "tracer", "-q", "--", sys.executable, "-c", PROCESS)
    done = subprocess.run(command, env=os.environ | {name: value}, cwd=tmp_path, capture_output=True, check=False)
    assert done.stderr.decode().splitlines() == [
        f"svc-trace: everything runs as root: the invoking user is unknown ({name}={value!r})"
    ]
    assert (done.returncode, found(done.stdout)["uids"]) == (0, [0, 0, 0])


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A configuration that only root can read, and that contains what no message may quote."""
    path = tmp_path / "svc-trace.toml"
    path.write_text("root:$6$hash:19000\n")
    path.chmod(0o600)
    tmp_path.chmod(0o755)
    return path


@pytest.mark.parametrize("how", ["--config", "--baseline", "link"])
def test_root_reads_no_file_for_the_user(how: str, user: User, secret: Path) -> None:
    link = user.home / "svc-trace.toml"
    if how == "link":
        link.symlink_to(secret)
    options = () if how == "link" else (how, str(secret))
    own = (user.program, "-q", *options, "--", "touch", "begun")
    done = user.run("sudo", "-n", *own)
    link.unlink(missing_ok=True)
    assert done.returncode in (ExitStatus.BAD_CONFIG, ExitStatus.BAD_INPUT)
    assert b"ermission denied" in done.stderr
    assert b"hash" not in done.stderr
    assert not (user.home / "begun").exists()


@pytest.fixture(scope="module")
def report(user: User) -> Path:
    """A report in the user's home directory."""
    done = user.run(*user.svc_trace(sudo=False), "true")
    assert done.returncode == 0, done.stderr
    return user.home / "svc-trace.json"


WRITING = {"report": ("report", "-o"), "merge": ("merge", "-o"), "validate": ("validate", "--write-baseline")}


@pytest.mark.parametrize("name", WRITING)
def test_a_command_that_writes_a_file_writes_it_as_the_user(
    name: str, user: User, report: Path, tmp_path: Path
) -> None:
    command, option = WRITING[name]
    roots, own = tmp_path / "file", user.home / name
    for target in roots, own:
        done = user.run("sudo", "-n", user.program, command, str(report), option, str(target))
        assert done.returncode == (ExitStatus.CANNOT_WRITE if target == roots else 0), done.stderr
    assert not roots.exists()
    assert (own.stat().st_uid, own.stat().st_gid) == (user.uid, user.gid)


@pytest.mark.parametrize(
    "words", [("report",), ("explain",), ("diff",), ("merge", "-o", "x"), ("select", "--tier", "x"), ("validate",)]
)
def test_a_command_that_reads_a_file_reads_it_as_the_user(words: tuple[str, ...], user: User, secret: Path) -> None:
    command, *others = words
    last = {"explain": ["a::b"], "diff": [str(secret)]}.get(command, [])
    done = user.run("sudo", "-n", user.program, command, *others, str(secret), *last)
    assert done.returncode == ExitStatus.BAD_INPUT, done.stderr
    assert b"ermission denied" in done.stderr


# Prints the ids of the process that executes a program of this name, and executes the real one.
IDS = '#!/bin/sh\ngrep -E "^(Uid|Gid|Groups):" /proc/$$/status >>"$0.ids"\nexec "/usr/bin/${0##*/}" "$@"\n'


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strace", ("{program}", "-q", "--backend", "strace", "--", "true")),  # its trial
        ("bash", ("_SVC_TRACE_COMPLETE=bash_source", "{program}")),  # click asks for its version
    ],
)
def test_programs_of_the_users_path_have_the_users_ids(name: str, words: tuple[str, ...], user: User) -> None:
    program = user.home / name
    program.write_text(IDS)
    program.chmod(0o755)
    own = [word.format(program=user.program) for word in words]
    done = user.run("sudo", "-n", "env", f"PATH={user.home}:{SYSTEM_PATH}", *own)
    assert done.returncode == 0, done.stderr
    lines = {line for line in program.with_name(f"{name}.ids").read_text().splitlines()}
    assert {*map(tuple, map(str.split, lines))} == {
        ("Uid:", *[str(user.uid)] * 4),
        ("Gid:", *[str(user.gid)] * 4),
        ("Groups:", *map(str, sorted(user.groups))),
    }


def ids() -> tuple[tuple[int, int, int], tuple[int, int, int], list[int]]:
    return os.getresuid(), os.getresgid(), sorted(os.getgroups())


def test_root_is_taken_for_a_while_and_given_back(user: User) -> None:
    """In a child, whose failure ends it before pytest goes on."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            invoker = Invoker(user.uid, user.gid, user.groups, {})
            invoker.step_back()
            outside = ids()
            with invoker.root():
                inside = ids()
            same = ids() == outside == ((0, user.uid, 0), (0, user.gid, 0), sorted(user.groups))
            status = 0 if same and inside == ((0, 0, 0), (0, 0, 0), []) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_doctor_takes_root_for_its_trials(user: User) -> None:
    done = user.run("sudo", "-n", user.program, "doctor", "--format", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    report = json.loads(done.stdout)
    assert {one["name"]: one["reason"] for one in report["backends"]} == dict.fromkeys(BACKENDS)
