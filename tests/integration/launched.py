"""A user account with sudo and its own installation of svc-trace, for tests of the start."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tracer

_SOURCE: Final = Path(tracer.__file__).parents[1]
ADDED: Final = {"SVC_TRACE_FIFO", "PYTHONPATH", "PIP_EXCLUDE"}
"""The variables that svc-trace adds to the command's environment."""
SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class User:
    """A user account with a home directory, an environment and an installation of svc-trace."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: Path
    environment: dict[str, str]

    @property
    def python(self) -> str:
        """The interpreter of the user's virtual environment, which has svc-trace."""
        return str(self.home / "venv" / "bin" / "python")

    @property
    def program(self) -> str:
        """svc-trace, in the same environment."""
        return str(self.home / "venv" / "bin" / "svc-trace")

    def start(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start a command as this user in the home directory. `env` replaces the user's environment."""
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=self.environment if env is None else env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
        )

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
        """Start a command and wait until it ends."""
        with _sudoers(fcntl.LOCK_SH), self.start(*command, env=env) as process:
            stdout, stderr = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def take_over(self) -> None:
        """Make all files in the home directory this user's."""
        subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", self.home], check=True)

    def files_of_others(self) -> list[str]:
        """Files in the home directory that are not this user's."""
        found = subprocess.run(["find", self.home, "!", "-uid", str(self.uid)], stdout=subprocess.PIPE, check=True)
        return found.stdout.decode().split()

    def svc_trace(self, *assignments: str, sudo: bool = True) -> tuple[str, ...]:
        """The words `sudo NAME=value … svc-trace -q --`, or `svc-trace -q --`."""
        own = (self.program, "-q", "--")
        return ("sudo", "-n", *assignments, *own) if sudo else own


def base_interpreter(uid: int, gid: int) -> str:
    """An interpreter of this version that the user can execute: the one that runs this, or the system's."""
    version = "python{}.{}".format(*sys.version_info)
    for candidate in str(Path(sys.executable).resolve()), f"/usr/bin/{version}", f"/usr/local/bin/{version}":
        try:
            subprocess.run([candidate, "-c", ""], user=uid, group=gid, extra_groups=[], check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    raise FileNotFoundError(f"other users cannot execute {sys.executable}, and there is no other {version}")


def _install(user: User) -> None:
    """Install svc-trace in a virtual environment of the user, who may not be able to read this checkout."""
    base = base_interpreter(user.uid, user.gid)
    made = user.run(base, "-m", "venv", "--without-pip", "venv")
    assert made.returncode == 0, made.stderr
    subprocess.run([sys.executable, "-m", "pip", "-q", "--python", user.python, "install", _SOURCE], check=True)
    user.take_over()


@contextmanager
def _sudoers(lock: int) -> Iterator[None]:
    """Rules are removed only while no worker runs sudo by `User.run`: it warns of a file that it cannot find again."""
    with Path("/run/lock/svc-trace-tests-sudoers").open("w") as file:
        fcntl.flock(file, lock)
        yield


@contextmanager
def new_user() -> Iterator[User]:
    """A new user who can use sudo without a password. At the end the user and all its files are removed."""
    name = f"svctrace{os.getpid()}"
    sudoers = Path("/etc/sudoers.d") / name
    subprocess.run(["useradd", "--create-home", "--groups", "users", "--shell", "/bin/sh", name], check=True)
    try:
        sudoers.write_text(f"{name} ALL=(ALL) NOPASSWD: ALL\n")
        sudoers.chmod(0o440)
        entry = pwd.getpwnam(name)
        home = Path(entry.pw_dir)
        home.chmod(0o755)
        environment = {
            "HOME": entry.pw_dir,
            "USER": name,
            "LOGNAME": name,
            "SHELL": "/bin/sh",
            "PATH": f"{home}/venv/bin:{SYSTEM_PATH}",
            "VIRTUAL_ENV": f"{home}/venv",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "DATABASE_URL": "postgres://shop@localhost/shop",
            "ODD": " a b='c'\n\"d\" é",
        }
        groups = (entry.pw_gid, grp.getgrnam("users").gr_gid)
        user = User(name, entry.pw_uid, entry.pw_gid, groups, home, environment)
        _install(user)
        yield user
    finally:
        with _sudoers(fcntl.LOCK_EX):
            sudoers.unlink(missing_ok=True)
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)
