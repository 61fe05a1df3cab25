"""Reads /etc/hosts: the names in a file, and the file that a process sees."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final

from msgspec import Struct

from tracer.record.names.name import host_name
from tracer.record.names.regular_file import handle_of, read_regular
from tracer.trace.endpoint import canonical_host

_OWN_FILE: Final = Path("/etc/hosts")
_LIMIT: Final = 1 << 20
"""Bytes of a file that are read. Lists that block advertisements are longer; a user's own names come before them."""
_NAMES: Final = 8
"""Names of one address that are kept."""
_NAMELESS: Final = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})
"""Addresses of which /etc/hosts has no names: they mean the machine itself, or block a name."""
_UNANSWERED: Final = 64
"""Files that may wait to be read. If one of them is on a file system that never answers, the others are not read."""

Names = Mapping[str, tuple[str, ...]]
"""Address in canonical form → its names, in the order of the file."""
MountNamespace = int
"""Inode number of a mount namespace."""


def has_names(address: str) -> bool:
    """Whether /etc/hosts can give a name to an address."""
    return address not in _NAMELESS


def names_in(text: str) -> Names:
    """The names in a file: lines of an address, its canonical name and its aliases; `#` begins a comment (hosts(5))."""
    names: dict[str, tuple[str, ...]] = {}
    for line in text.split("\n"):
        fields = line.partition("#")[0].split()
        if len(fields) < 2 or not (address := _address(fields[0])) or not has_names(address):
            continue
        for field_ in fields[1:]:
            known = names.get(address, ())
            if len(known) < _NAMES and (name := host_name(field_)) and name not in known:
                names[address] = (*known, name)
    return names


def _address(text: str) -> str:
    """An address in canonical form, without the zone of a link-local address (RFC 4007, 11); empty: it is none."""
    address = text.partition("%")[0]
    with suppress(OSError, UnicodeEncodeError, ValueError):
        return canonical_host(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address))
    return ""


class Version(Struct, frozen=True):
    """Changes if a file is written or replaced."""

    device: int
    inode: int
    mtime_ns: int
    size: int


class Answer(Struct, frozen=True):
    """A file that had to be read."""

    mount: MountNamespace
    version: Version | None = None  # None: it could not be read
    names: Names | None = None  # None: they are as before
    is_gone: bool = False  # the process that saw it has ended


class Reader:
    """Reads files in a thread of its own, because the tree may have mounted a file system that never answers."""

    def __init__(self) -> None:
        self._wanted = SimpleQueue[tuple[MountNamespace, Path | None, Version | None] | None]()
        self._read = SimpleQueue[Answer]()
        self._unanswered = 0
        self._thread: Thread | None = None

    def read(self, mount: MountNamespace, root: Path | None, known: Version | None) -> bool:
        """Have the file below a process's root read, or the tracer's own file, unless its version is known.

        False: too many files are being read, or no further thread is allowed.
        """
        if self._unanswered >= _UNANSWERED:
            return False
        if self._thread is None:
            thread = Thread(target=self._run, name="hosts files", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        self._unanswered += 1
        self._wanted.put((mount, root, known))
        return True

    def answers(self, seconds: float) -> Iterator[Answer]:
        """What has been read; wait so long at most for what has not."""
        deadline = monotonic() + seconds
        while self._unanswered:
            try:
                answer = self._read.get(timeout=max(0, deadline - monotonic()))
            except Empty:
                return
            self._unanswered -= 1
            yield answer

    def close(self) -> None:
        """Let the thread end, when it can."""
        self._wanted.put(None)

    def _run(self) -> None:
        while wanted := self._wanted.get():
            try:
                answer = read(*wanted)
            except OSError:
                answer = Answer(wanted[0], names={})
            self._read.put(answer)


def read(mount: MountNamespace, root: Path | None, known: Version | None) -> Answer:
    """Read the file below the root of a process, unless its version is known.

    There, links are not followed: an absolute one would lead into the tracer's own root.

    Raises:
        OSError: there is no such file, or it may not be read.
    """
    with ExitStack() as opened:
        if root:
            try:
                directory = opened.enter_context(handle_of(root, os.O_DIRECTORY))
            except OSError:
                return Answer(mount, is_gone=True)
            etc = opened.enter_context(handle_of("etc", os.O_DIRECTORY | os.O_NOFOLLOW, directory))
            file = opened.enter_context(handle_of("hosts", os.O_NOFOLLOW, etc))
        else:
            file = opened.enter_context(handle_of(_OWN_FILE))
        about = os.fstat(file)
        version = Version(about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size)
        if version == known:
            return Answer(mount, version)
        content = read_regular(file, _LIMIT)
    if len(content) == _LIMIT:
        content = content[: content.rfind(b"\n") + 1]  # without the line that was cut off
    return Answer(mount, version, names_in(content.decode("latin-1")))
