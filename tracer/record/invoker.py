"""The user who started svc-trace: who that is behind `sudo`, `doas`, `pkexec` or `run0`, and what the command gets."""

from __future__ import annotations

import os
import pwd
import re
import resource
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, dropwhile
from pathlib import Path
from typing import Final, NamedTuple, Self

_UID_END: Final = 2**32 - 1  # (uid_t) -1 stands for "no change" (setreuid(2))
_OF_ROOT: Final = frozenset({"PATH", "HOME", "MAIL", "LOGNAME", "USER", "SHELL"})
"""Variables that these programs set for root."""
_LIMIT: Final = re.compile(r"^Max [a-z ]+? +(\d+|unlimited) +(\d+|unlimited) ", re.MULTILINE)
"""A line of /proc/PID/limits (proc_pid_limits(5)); they are in the order of the limits' numbers."""

STARTED_BY: Final = "SVC_TRACE_STARTED_BY"
"""The variable with the pid of the process that started run0 (tracer/commands/elevation.py)."""

Limit = tuple[int, int]
"""Soft and hard (getrlimit(2)); `resource.RLIM_INFINITY` is negative."""


class Invoker(NamedTuple):
    """The user who started svc-trace, and what the command gets from that user.

    The command runs as this user. So does svc-trace, except where it needs root (`root`).
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    environment: Mapping[str, str]
    umask: int | None = None  # None, also for the next two: as it is
    limits: Mapping[int, Limit] = {}
    niceness: int | None = None
    unknown: str | None = None  # a variable that names no user, so that everything runs as root: NAME=value

    @classmethod
    def find(cls) -> Self:
        """The user who a program such as sudo says started it. Without such a program: the current user.

        The environment, umask, limits and niceness are those from before that program, if its process or the user's can
        be found and read.
        """
        own = _own_environment()
        current = cls(os.geteuid(), os.getegid(), tuple(os.getgroups()), own)
        claims = {name: own[name] for name in _CLAIMS if name in own}
        if current.uid != 0 or not claims:
            return current
        users = {name: uid for name, value in claims.items() if (uid := _CLAIMS[name](value)) is not None}
        # A variable may have been kept from before. Of several users, the one who has the nearest process counts.
        named = [uid for uid in users.values() if uid != 0]
        uid = next((one.uid for one in _ancestors() if one.uid in named), [*named, *users.values(), None][0])
        if uid is None:
            return current._replace(unknown=" ".join(f"{name}={value!r}" for name, value in claims.items()))
        behind = dropwhile(lambda one: not one.is_before(uid, claims), _ancestors())
        first = next(behind, None)
        process = next((one for one in chain([first] if first else [], behind) if one.uid == one.euid == uid), None)
        if first is None and (starter := _Ancestor.starter(own, uid)):
            user = current._with_ids(uid, None)._replace(environment=starter.environment())
            return user._with_attributes(starter)
        user = current if uid == 0 else current._with_ids(uid, process)
        user = user._replace(environment=_restore(own, first, user.uid))
        return user if process is None else user._with_attributes(process)

    def _with_ids(self, uid: int, process: _Ancestor | None) -> Self:
        if process is not None:  # groups may be others than in the database
            return self._replace(uid=uid, gid=process.gid, groups=process.groups)
        try:
            account = pwd.getpwuid(uid)
        except KeyError:  # a user without an account, such as `setpriv --reuid 1234`
            gid = _number(self.environment.get("SUDO_GID", ""))
            if gid is None:
                return self._replace(unknown=f"uid {uid} without a group")
            return self._replace(uid=uid, gid=gid, groups=(gid,))
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        return self._replace(uid=uid, gid=account.pw_gid, groups=tuple(groups))

    def _with_attributes(self, process: _Ancestor) -> Self:
        limits, niceness = {}, None
        with suppress(OSError):  # it has ended
            limits = process.limits()
            niceness = os.getpriority(os.PRIO_PROCESS, process.pid)
        return self._replace(umask=process.umask, limits=limits, niceness=niceness)

    def step_back(self) -> None:
        """Take this user's effective ids, groups and umask; `root` can take root's again. Twice does no harm."""
        if self.umask is not None:
            os.umask(self.umask)
        if os.geteuid() != self.uid:
            os.setgroups(self.groups)
            os.setegid(self.gid)
            os.seteuid(self.uid)

    def become(self) -> None:
        """Give up root for good: groups, gid and uid; real, effective and saved. Twice does no harm."""
        self.step_back()
        if os.getuid() != self.uid:
            os.setregid(self.gid, self.gid)
            os.setreuid(self.uid, self.uid)

    @contextmanager
    def root(self) -> Iterator[None]:
        """Take root's effective ids for a while, unless root was given up for good. Ids belong to all threads."""
        if os.getuid() != 0 or os.geteuid() == 0:
            yield
            return
        try:
            os.seteuid(0)
            os.setegid(os.getgid())
            os.setgroups(())
            yield
        finally:
            self.step_back()

    def raise_limits(self) -> None:
        """Take this user's niceness and those hard limits that are higher, as root, as far as that is permitted."""
        if self.niceness is not None:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, 0, self.niceness)
        for number, (_, hard) in self.limits.items():
            soft, own_hard = resource.getrlimit(number)
            if _lower(hard, own_hard) != hard:
                with suppress(OSError, ValueError):  # ValueError: not permitted
                    resource.setrlimit(number, (soft, hard))

    def set_limits(self) -> None:
        """Take this user's limits: the last step before an exec, because this process may exceed them already."""
        for number, (soft, hard) in self.limits.items():
            own_hard = resource.getrlimit(number)[1]
            with suppress(OSError, ValueError):
                resource.setrlimit(number, (_lower(soft, own_hard), _lower(hard, own_hard)))


class _Ancestor(NamedTuple):
    """A process that started this one, directly or through others. All is as it was when it was read."""

    pid: int
    parent: int
    uid: int  # real
    euid: int
    gid: int  # real
    groups: tuple[int, ...]
    umask: int

    @classmethod
    def read(cls, pid: int | str) -> Self:
        """Read /proc/PID/status (proc_pid_status(5))."""
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
        fields = {name: value.split() for name, _, value in (line.partition(":") for line in text.splitlines())}
        uid, euid, *_ = map(int, fields["Uid"])
        groups = tuple(map(int, fields["Groups"]))
        return cls(
            int(fields["Pid"][0]), int(fields["PPid"][0]), uid, euid, int(fields["Gid"][0]), groups,
            int(fields["Umask"][0], 8),
        )  # fmt: skip

    @classmethod
    def starter(cls, own: Mapping[str, str], uid: int) -> Self | None:
        """The process of the user's that STARTED_BY names, which waits for this one, but is none of its ancestors."""
        pid = _number(own.get(STARTED_BY, ""))
        with suppress(OSError, KeyError):
            one = cls.read(pid) if pid else None
            if one and uid != 0 and one.uid == one.euid == uid and one.environment():
                return one
        return None

    def is_before(self, uid: int, claims: Mapping[str, str]) -> bool:
        """Whether it has the environment from before the user became root.

        That is the program that changed the user, which has the user's real id or the set-user-ID bit, or a process of
        the user's that this program replaced. Processes after it have its variables.
        """
        if uid != 0 and self.uid == uid:
            return True
        return self.changes_user() and not claims.items() <= self.environment().items()

    def changes_user(self) -> bool:
        """Whether it executes a set-user-ID program of root's."""
        with suppress(OSError):
            program = Path(f"/proc/{self.pid}/exe").stat()
            return program.st_uid == 0 and bool(program.st_mode & stat.S_ISUID)
        return False

    def limits(self) -> dict[int, Limit]:
        """Its limits by number. prlimit(2) would need CAP_SYS_RESOURCE."""
        text = Path(f"/proc/{self.pid}/limits").read_text()
        pairs = (
            [resource.RLIM_INFINITY if one == "unlimited" else int(one) for one in line]
            for line in _LIMIT.findall(text)
        )
        return {number: (soft, hard) for number, (soft, hard) in enumerate(pairs)}

    def environment(self) -> dict[str, str]:
        """Its variables when its program began; empty if they cannot be read."""
        with suppress(OSError):
            variables = os.fsdecode(Path(f"/proc/{self.pid}/environ").read_bytes()).split("\0")
            return dict(variable.split("=", 1) for variable in variables if "=" in variable)
        return {}


def _ancestors() -> Iterator[_Ancestor]:
    """The processes above this one, from its parent up, as far as /proc shows them."""
    pid = os.getppid()
    with suppress(OSError, KeyError):
        pid = _Ancestor.read("self").parent  # /proc may be of another namespace
        while pid > 0:
            one = _Ancestor.read(pid)
            yield one
            pid = one.parent


def _own_environment() -> dict[str, str]:
    """This process's variables, without the LC_CTYPE that Python sets in the C locale (PEP 538)."""
    own = dict(os.environ)
    if "LC_CTYPE" in own:
        with suppress(OSError):
            if b"\0LC_CTYPE=" not in b"\0" + Path("/proc/self/environ").read_bytes():
                del own["LC_CTYPE"]
    return own


def _restore(own: Mapping[str, str], before: _Ancestor | None, uid: int) -> dict[str, str]:
    """The user's environment: that of `before`, and what was added since (`sudo NAME=value svc-trace …`).

    If that cannot be read: this process's, with the variables of the user's account.
    """
    added = {name: value for name, value in own.items() if name not in _CLAIMS and not name.startswith("SUDO_")}
    original = before.environment() if before else {}
    if before and original and before.changes_user():
        return original | {name: value for name, value in added.items() if name not in _OF_ROOT}
    # Of a shell, only the variables with which it began are known: it may have entered a virtual environment since.
    if not original:
        original = added
        with suppress(KeyError):
            user = pwd.getpwuid(uid)
            account = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}
            original = added | account
    environment = original | {name: value for name, value in added.items() if name not in _OF_ROOT}
    path, programs = environment.get("PATH", os.defpath), str(Path(sys.prefix, "bin"))
    if sys.prefix != sys.base_prefix and programs not in path.split(os.pathsep):
        environment |= {"VIRTUAL_ENV": sys.prefix, "PATH": f"{programs}{os.pathsep}{path}"}
    return environment


def _number(text: str) -> int | None:
    """A uid or gid from its digits."""
    return int(text) if re.fullmatch("[0-9]{1,10}", text) and int(text) < _UID_END else None


def _of_account(name: str) -> int | None:
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_uid
    return None


_CLAIMS: Final[Mapping[str, Callable[[str], int | None]]] = {
    "SUDO_UID": _number,  # sudo(8), also sudo-rs; run0(1)
    "DOAS_USER": _of_account,  # doas(1)
    "PKEXEC_UID": _number,  # pkexec(1)
}
"""The variable in which each program says who started it → what reads the uid from it. They are set always."""


def _lower(one: int, other: int) -> int:
    """The lower of two limits."""
    return min(one, other, key=lambda limit: float("inf") if limit == resource.RLIM_INFINITY else limit)
