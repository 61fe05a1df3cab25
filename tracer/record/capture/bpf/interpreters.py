"""Where each process of the tree has its Python: the probes need the address of the interpreter's lock.

Python's threads wait in turn for that lock, so a thread that releases it is not the cause of what the next one does. It
lies in the static data of the interpreter, `_PyRuntime` (Include/internal/pycore_runtime.h, Python 3.7 to 3.14).
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import struct
from pathlib import Path
from typing import Final, NamedTuple

from tracer.record.capture.bpf.wire import INTERPRETER
from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.record.names.regular_file import handle_of
from tracer.trace.ids import INITIAL_PIDNS, ProcessId

SIZE: Final = 16384
"""SVC_INTERPRETERS: how many processes have a place."""
FINAL_S: Final = 1.0
"""A process without a Python after this time has none. The dynamic linker loads a shared one soon after exec."""
_NAME: Final = b"_PyRuntime\0"
_LIBRARY: Final = re.compile(r"/libpython[^/]*\.so[^/]*$")

# elf(5), 64-bit: the fields that are read.
_ELF64: Final = b"\x7fELF\x02"
_ELF: Final = struct.Struct("=16sH14xQQ6xHHHH2x")  # ident, type, phoff, shoff, phentsize, phnum, shentsize, shnum
_SECTION: Final = struct.Struct("=4xI16xQQI20x")  # type, offset, size, link
_ENTRY: Final = struct.Struct("=I2xHQQ")  # name, section, value, size
_SEGMENT: Final = struct.Struct("=I4xQQ32x")  # type, offset, vaddr
_SHARED: Final = 3  # ET_DYN: it can be loaded at any address
_SYMBOL_TABLES: Final = (11, 2)  # SHT_DYNSYM, and SHT_SYMTAB, which a stripped file lacks
_UNDEFINED: Final = 0  # SHN_UNDEF
_LOADED: Final = 1  # PT_LOAD


class Interpreters:
    """The places of the map `interpreters`: see svc_interpreter in probes/svc_trace.h.

    fork copies a place in the kernel, and exec empties it. So every process that executes a program is looked up, and
    those that were forked before their parent's place was filled.
    """

    def __init__(self, fd: int) -> None:
        """Map the map `fd`."""
        self._places = mmap.mmap(fd, SIZE * INTERPRETER.size)
        self._pidns = Path("/proc/self/ns/pid").stat().st_ino
        self._unknown: dict[ProcessId, tuple[int, int]] = {}  # process → its pid in /proc, and when it began

    @property
    def is_looking(self) -> bool:
        """Whether there is a process whose Python has to be looked up again."""
        return bool(self._unknown)

    def apply(self, event: TaskEvent) -> None:
        """Remember a process that has to be looked up; forget one that has ended."""
        if event.kind == Kind.EXIT:
            self._unknown.pop(event.process, None)
        elif event.kind == Kind.EXEC or (event.kind == Kind.FORK and not self._is_known(event.process)):
            if event.pidns == self._pidns:
                self._unknown[event.process] = event.pid, event.ns
            elif self._pidns == INITIAL_PIDNS:
                self._unknown[event.process] = event.host_pid, event.ns

    def look_up(self, now_ns: int) -> None:
        """Fill the places of the processes whose Python is found, or that have none."""
        for process, (pid, since_ns) in list(self._unknown.items()):
            try:
                place = python_of(pid)
            except OSError:  # it has ended, or is another user's: it stays unknown
                del self._unknown[process]
                continue
            if place is None and now_ns - since_ns < FINAL_S * 1e9:
                continue
            start, end = place or (0, 0)
            offset = process % SIZE * INTERPRETER.size
            INTERPRETER.pack_into(self._places, offset, 0, 0, start, end)
            INTERPRETER.pack_into(self._places, offset, process, 0, start, end)
            del self._unknown[process]

    def _is_known(self, process: ProcessId) -> bool:
        return bool(INTERPRETER.unpack_from(self._places, process % SIZE * INTERPRETER.size)[0] == process)

    def close(self) -> None:
        """Unmap."""
        self._places.close()


def python_of(pid: int) -> tuple[int, int] | None:
    """The first address of a process's `_PyRuntime`, and the first behind it; None: it has loaded none.

    It is in the process's program, or in a libpython.

    Raises:
        OSError: the process has ended, or is another user's.
    """
    program = True
    for line in Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape").splitlines():
        addresses, _, offset, device, inode, *path = line.split(maxsplit=5)
        if inode == "0" or int(offset, 16) or not (program or _LIBRARY.search(path[0])):
            continue
        program = False
        symbol = _symbol_of((device, inode), Path(f"/proc/{pid}/root{path[0]}"))
        if symbol is not None:
            start = symbol.address + (int(addresses.partition("-")[0], 16) if symbol.moves else 0)
            return start, start + symbol.size
    return None


class _Symbol(NamedTuple):
    """Where an ELF file has `_PyRuntime`."""

    address: int  # if the file `moves`, relative to its first byte in memory
    size: int
    moves: bool


_symbols: dict[tuple[str, ...], _Symbol | None] = {}  # device and inode of a file → its symbol


def _symbol_of(file: tuple[str, ...], path: Path) -> _Symbol | None:
    """The symbol of a file, read once for each file."""
    if file not in _symbols:
        _symbols[file] = _read_symbol(path)
    return _symbols[file]


def _read_symbol(path: Path) -> _Symbol | None:
    try:
        with handle_of(path) as handle:  # a process can have put a FIFO in the file's place
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            with (
                Path(f"/proc/self/fd/{handle}").open("rb") as opened,
                mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as content,
            ):
                return _find_symbol(content)
    except (OSError, ValueError, struct.error):  # replaced since, or not an ELF file of this machine
        return None


def _find_symbol(content: mmap.mmap) -> _Symbol | None:
    identification, kind, segments, sections, segment_size, count, section_size, section_count = _ELF.unpack_from(
        content
    )
    if identification[:5] != _ELF64:
        return None
    tables = [_SECTION.unpack_from(content, sections + index * section_size) for index in range(section_count)]
    for table_kind, offset, size, link in sorted(tables, key=lambda table: table[0], reverse=True):
        if table_kind not in _SYMBOL_TABLES:
            continue
        _, names, names_size, _ = tables[link]
        at = content.find(_NAME, names, names + names_size)
        while at >= 0:
            for name, index, value, length in _ENTRY.iter_unpack(content[offset : offset + size]):
                if name == at - names and index != _UNDEFINED:
                    moves = kind == _SHARED
                    return _Symbol(
                        value - (_first_address(content, segments, segment_size, count) if moves else 0), length, moves
                    )
            at = content.find(_NAME, at + 1, names + names_size)
    return None


def _first_address(content: mmap.mmap, offset: int, size: int, count: int) -> int:
    """The address of the file's first byte in memory, before the file is moved."""
    loaded = (_SEGMENT.unpack_from(content, offset + index * size) for index in range(count))
    return next(int(address - at) for kind, at, address in loaded if kind == _LOADED)
