"""Names of unix sockets (unix(7)): which are served now, and in which forms a client may use them."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tracer.errors import ExitStatus, SvcTraceError

_LONGEST: Final = 108  # sizeof(sockaddr_un.sun_path)
_SOCKETS: Final = Path("/proc/net/unix")
_LINE: Final = re.compile(rb"^\w+: \w+ \w+ (\w+) (\w+) \w+ +\d+ (.+)$", re.MULTILINE)
"""A socket with a name: number, references, protocol, flags, type, state, inode, name (net/unix/af_unix.c)."""
_LISTENS: Final = 0x10000  # SO_ACCEPTCON, in the column Flags
_NOT_SERVED: Final = frozenset(
    {errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
)


def encoded(name: str) -> bytes:
    """The bytes of a name, without the NUL at the end of a path.

    Raises:
        SvcTraceError: bad-refusal: no socket can have this name.
    """
    found = b"\0" + os.fsencode(name[1:]) if name.startswith("@") else os.fsencode(name)
    if not found or len(found) > _LONGEST or "\0" in name:
        raise SvcTraceError(
            f"not the name of a unix socket: {name}",
            hint=f"Give a path of at most {_LONGEST} bytes, or @NAME for an abstract name.",
            slug="bad-refusal",
            exit_code=ExitStatus.USAGE,
        )
    return found


def forms(name: str) -> set[bytes]:
    """The name, and other names of the same socket.

    Of an absolute path: without symbolic links, and below `/var/run`. Of an abstract name: with NUL for each further
    `@`, because reports write both as `@`.

    Raises:
        SvcTraceError: bad-refusal.
    """
    found = encoded(name)
    if name.startswith("@"):
        return {found, found.replace(b"@", b"\0")}
    if not name.startswith("/"):
        return {found}
    paths = {found, os.path.realpath(found)}
    if os.path.realpath("/var/run") == "/run":
        paths |= {b"/var" + path for path in paths if path.startswith(b"/run/")}
    return {path for path in paths if len(path) <= _LONGEST}


def is_served(name: str) -> bool:
    """Whether a process has bound this name, as far as the current user can see it.

    The kernel finds a path's socket before it compares types. So a connect by datagrams neither disturbs nor reaches a
    stream's server: it fails (EPROTOTYPE). To a server of datagrams, it sends nothing.
    """
    if name.startswith("@"):
        return name in served_names()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trial:
        try:
            trial.connect(encoded(name))
        except OSError as error:
            return error.errno not in _NOT_SERVED
    return True


def served_names() -> set[str]:
    """The names that processes of this network namespace have bound, and at which they can be reached."""
    return {
        os.fsdecode(name)
        for flags, kind, name in _LINE.findall(_SOCKETS.read_bytes())
        if int(flags, 16) & _LISTENS or int(kind, 16) == socket.SOCK_DGRAM
    }


def without(names: Iterable[str], exceptions: Iterable[str]) -> set[str]:
    """Those of the names that are no exception in any form."""
    excepted = {form for name in exceptions for form in forms(name)}
    return {name for name in names if not forms(name) & excepted}
