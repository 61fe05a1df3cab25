"""The files that a user names for input: plain or packed by gzip, of bounded size, and the errors of reading them.

A file may be hostile: a gzip file that unpacks to more than the memory, a device without an end, a FIFO to which no
process writes. So every file is read up to a limit, and no reader waits forever for the first byte.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import select
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from tracer.errors import ExitStatus, SvcTraceError

GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952, 2.3.1
MB: Final = 1 << 20
SIZE_LIMIT: Final = 1024 * MB
"""Bytes of a trace or report after unpacking: a report of 30,000 tests has 200 MB."""
LIMIT_VARIABLE: Final = "SVC_TRACE_MAX_INPUT_MB"
"""The environment variable that replaces SIZE_LIMIT."""
LINE_LIMIT: Final = 16 * MB
"""Bytes of a line. The longest of a trace has the command's arguments, for which Linux permits some 6 MB."""
WRITER_S: Final = 5
"""How long to wait until a process opens a FIFO for writing."""
SILENCE_S: Final = 600
"""How long to wait for a writer that writes nothing: `<(pytest --collect-only -q)` may take minutes."""

_HIGHEST_RATIO: Final = 1032  # of deflate (zlib's technical details): a smaller file cannot exceed the limit
_CHUNK: Final = 1 << 16


class TooLargeError(OSError):
    """A file has more bytes than its reader takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(errno.EFBIG, f"it has more than {limit // MB:,} MB, unpacked")


class InputFile:
    """An open file, unpacked if its first two bytes are gzip's. It is read once, from its beginning to its end.

    Its methods raise a TooLargeError if the file has more bytes than the limit, a TimeoutError if no bytes come, and an
    EOFError or zlib.error if a gzip file is cut off or damaged.
    """

    def __init__(self, raw: io.RawIOBase | BinaryIO, limit: int) -> None:
        plain = io.BufferedReader(cast(io.RawIOBase, raw), _CHUNK)
        self._limit = self._left = limit
        self._file = gzip.GzipFile(fileobj=plain) if plain.peek(2)[:2] == GZIP_MAGIC else plain

    def head(self) -> bytes:
        """The first bytes, at least 8,192 of a file that has them, which stay to be read."""
        with suppress(EOFError):
            return self._file.peek(_CHUNK)
        return b""

    def read(self) -> bytearray:
        """All bytes."""
        text = bytearray()
        for part in self.parts():
            text += part
        return text

    def parts(self) -> Iterator[bytes]:
        """All bytes, in parts of at most 64 KiB."""
        while part := self._file.read(_CHUNK):
            yield self._counted(part)

    def lines(self) -> Iterator[bytes]:
        """The lines, each with its end, up to where a cut-off gzip file ends.

        Raises:
            ValueError: a line is too long.
        """
        with suppress(EOFError):
            while line := self._file.readline(LINE_LIMIT + 1):
                if len(line) > LINE_LIMIT:
                    raise _too_long()
                yield self._counted(line)

    def batches(self) -> Iterator[bytes]:
        """Many lines at a time, each with its end, up to where a cut-off file ends. The last may have no end.

        Raises:
            ValueError: a line is too long.
        """
        begun: list[bytes] = []  # the parts of a line
        length = 0
        with suppress(EOFError):
            while part := self._file.read1(_CHUNK):
                lines, end, rest = self._counted(part).rpartition(b"\n")
                if end:
                    yield b"".join((*begun, lines, end))
                    begun, length = [], 0
                begun.append(rest)
                length += len(rest)
                if length > LINE_LIMIT:
                    raise _too_long()
        if length:
            yield b"".join(begun)

    def _counted(self, part: bytes) -> bytes:
        self._left -= len(part)
        if self._left < 0:
            raise TooLargeError(self._limit)
        return part


def _too_long() -> ValueError:
    return ValueError(f"the line has more than {LINE_LIMIT // MB} MB")


class _Source(io.RawIOBase):
    """A descriptor that does not block, read up to a limit. Each read fills its buffer, or reaches the end."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._limit = self._left = limit
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 -- collections.abc.Buffer is new in Python 3.12
        view = memoryview(buffer)
        filled = 0
        while filled < len(view) and (count := self._read(view[filled:])):
            filled += count
        self._left -= filled
        if self._left < 0:
            raise TooLargeError(self._limit)
        return filled

    def _read(self, view: memoryview) -> int:
        """Read some bytes; 0: the end. A FIFO without a writer is not ready, and gives no bytes."""
        for seconds in (WRITER_S, SILENCE_S):
            ready = self._poll.poll(seconds * 1000)
            with suppress(BlockingIOError):
                count = os.readv(self._descriptor, [view])
                if count or ready:
                    return count
                raise TimeoutError(errno.ETIMEDOUT, f"no process has opened it for writing within {WRITER_S} s")
        raise TimeoutError(errno.ETIMEDOUT, f"nothing was written to it for {SILENCE_S} s")


@contextmanager
def opened(path: Path, limit: int) -> Iterator[InputFile]:
    """Open a file for reading, of which at most `limit` bytes are read.

    Raises:
        OSError: it cannot be opened, or has more bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode):
            if about.st_size > limit:
                raise TooLargeError(limit)
            if about.st_size * _HIGHEST_RATIO > limit and os.pread(descriptor, 2, 0) == GZIP_MAGIC:
                with suppress(EOFError, zlib.error, gzip.BadGzipFile):  # which reading it will find again
                    for _ in InputFile(_Source(descriptor, limit), limit).parts():
                        pass  # only counts: a file that is too large is not kept in memory up to the limit
                os.lseek(descriptor, 0, os.SEEK_SET)
        yield InputFile(_Source(descriptor, limit), limit)
    finally:
        os.close(descriptor)


@contextmanager
def open_input(path: Path) -> Iterator[InputFile]:
    """Open a trace, a report, a baseline or a list for reading.

    Raises:
        SvcTraceError: it cannot be opened, or cannot be read while it is open.
    """
    with input_errors(str(path)), opened(path, size_limit()) as file:
        yield file


@contextmanager
def input_errors(name: str) -> Iterator[None]:
    """Turn the errors of reading a file into errors that name it.

    Raises:
        SvcTraceError: `cannot-read` or `input-too-large`.
    """
    try:
        yield
    except TooLargeError as error:
        raise SvcTraceError(
            f"cannot read {name}: {error.strerror}",
            hint=f"Name the right file. If it is really so large, set {LIMIT_VARIABLE} to the size that you expect.",
            slug="input-too-large",
        ) from error
    except MemoryError as error:
        raise SvcTraceError(
            f"cannot read {name}: there is not enough memory",
            hint="Use a machine with more memory, or raise the limit of this process (`ulimit -v`).",
            slug="cannot-read",
        ) from error
    except (OSError, zlib.error) as error:
        problem = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SvcTraceError(
            f"cannot read {name}: {problem}",
            hint="Name a file that `svc-trace --trace` or `svc-trace -o` wrote.",
            slug="cannot-read",
        ) from error


def size_limit() -> int:
    """The bytes of a file that are read.

    Raises:
        SvcTraceError: the environment variable is not a number.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if not text:
        return SIZE_LIMIT
    if re.fullmatch(r"[1-9][0-9]{0,5}", text, re.ASCII):
        return int(text) * MB
    raise SvcTraceError(
        f"{LIMIT_VARIABLE} is {text!r}, not a number of megabytes",
        hint=f"Set it to an integer from 1 to 999999, or unset it: then it is {SIZE_LIMIT // MB}.",
        slug="bad-input-limit",
        exit_code=ExitStatus.USAGE,
    )
