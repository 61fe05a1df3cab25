"""Runs small programs of the shell in the container: by the entering command, as the invoking user."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from tracer.errors import SvcTraceError, cannot_trace, printable
from tracer.record.invoker import Invoker
from tracer.record.launch import cannot_execute

_MARK: Final = "svc-trace "
_DIRECTORY: Final = re.compile(r"/[^\0\n]*/svc-trace-[0-9a-f-]{36}")
"""It is removed at the end, so nothing else may have come in between."""
_LIMIT: Final = 1 << 16  # bytes of an answer
_PATIENCE_S: Final = 30
"""How long a program may take after the command's end: the report waits for it."""


class Place(NamedTuple):
    """The run's directory in the container, as the container says."""

    secret: str  # only the directory's owner can know it
    namespace: int  # inode number of the pid namespace
    directory: str


class Ending(NamedTuple):
    """What has happened to the directory until it was removed."""

    damaged: bool  # the FIFO or the hook is missing
    silenced: bool  # a hook has stopped reporting


class Entrance:
    """The entering command. What its programs print is not trusted: it only goes back to them, or is compared."""

    def __init__(self, words: Sequence[str], invoker: Invoker) -> None:
        """`words`: the entering command, such as `docker exec web`. The words that follow it are executed inside."""
        self.words = tuple(words)
        self._invoker = invoker

    def prepare(self, files: Mapping[str, bytes]) -> Place:
        """Make the run's directory, with these files.

        Raises:
            SvcTraceError: cannot-enter; or the entering command is missing.
        """
        arguments = [word for file in files.items() for word in file]
        with self._start("prepare.sh", "svc-trace", *arguments, stderr=None) as process:
            output = _answer(process, None)
        for line in output.splitlines():
            if line.startswith(_MARK):
                with suppress(ValueError):
                    secret, namespace, directory = line.removeprefix(_MARK).split(" ", 2)
                    number = int(namespace.removeprefix("pid:[").removesuffix("]"))
                    if _DIRECTORY.fullmatch(directory):
                        return Place(secret, number, directory)
        said = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
        raise self.cannot_enter(
            f"ended with status {process.returncode}" + (f": {printable(said, 200)}" if said else "")
        )

    def signal(self, directory: str, name: str) -> subprocess.Popen[bytes]:
        """Begin to send a signal, such as `INT`, to the process in the container. It may have ended."""
        return self._start("signal.sh", directory, name, stdout=subprocess.DEVNULL)

    def remove(self, directory: str) -> Ending:
        """Remove the run's directory, if the container still runs."""
        output = ""
        with suppress(SvcTraceError, OSError), self._start("remove.sh", directory) as process:
            output = _answer(process, _PATIENCE_S)
        return Ending("svc-trace-damaged" in output, "svc-trace-silenced" in output)

    def cannot_enter(self, reason: str) -> SvcTraceError:
        """The error for an entering command that does not do what it should."""
        said = " ".join(self.words)
        return cannot_trace(f"`{said}` {reason}", f"Try it without svc-trace: {said} sh -c true", "cannot-enter")

    def _start(
        self,
        script: str,
        *arguments: str | bytes,
        stdout: int = subprocess.PIPE,
        stderr: int | None = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Begin to run a script. It reads nothing, but docker checks that a terminal is one, if it is to have one."""
        with self._invoker.root():
            other = os.geteuid() == 0 and self._invoker.uid != 0
            try:
                return subprocess.Popen(
                    [*self.words, *inside(script), *arguments],
                    env=self._invoker.environment,
                    stdin=None if os.isatty(0) else subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    user=self._invoker.uid if other else None,
                    group=self._invoker.gid if other else None,
                    extra_groups=self._invoker.groups if other else None,
                )
            except (FileNotFoundError, PermissionError) as error:
                raise cannot_execute(self.words[0], error.errno or 0) from None


def _answer(process: subprocess.Popen[bytes], seconds: float | None) -> str:
    """What a process prints until it ends; one that prints too much, or takes longer, is ended. None: wait."""
    assert process.stdout
    until = None if seconds is None else time.monotonic() + seconds
    answer = bytearray()
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    try:
        while poll.poll(None if until is None else max(0, until - time.monotonic()) * 1000):
            part = os.read(process.stdout.fileno(), _LIMIT)
            answer += part
            if not part:
                process.wait(None if until is None else max(0, until - time.monotonic()))
            if not part or len(answer) > _LIMIT:
                break
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()  # unless it has ended
    return answer[:_LIMIT].decode(errors="replace")


def inside(script: str, *arguments: str) -> list[str]:
    """The words that run a script of this package: what the kernel shows as the command line of its process."""
    return ["sh", "-c", Path(__file__).with_name(script).read_text("ascii"), *arguments]
