"""The programs that refuse (probes/svc_refuse.bpf.c): loaded, their maps filled, attached to a cgroup."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from ctypes import byref, c_int
from struct import Struct, pack, unpack_from
from typing import Final, NamedTuple

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.bpf import features
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.bpf.programs import REFUSAL_OBJECT, forbidden
from tracer.record.refusal.inherited import inherited_sockets
from tracer.record.refusal.table import Table

FIELDS: Final = {
    "svc_place": (("bits", "I"), ("group", "H"), ("family", "B"), ("unused", "B"), ("address", "16s")),
    "svc_name": (("length", "I"), ("text", "128s")),
}
"""The structs of probes/svc_refuse.h: names and formats of their fields."""
PLACE, NAME = (Struct("=" + "".join(form for _, form in fields)) for fields in FIELDS.values())
_INDEX: Final = Struct("=I")
_FAMILY_BITS: Final = 32  # of svc_place, between `bits` and `address`
_COUNTER: Final = 8  # bytes

_SOCK_ADDR: Final = 18  # BPF_PROG_TYPE_CGROUP_SOCK_ADDR: enum bpf_prog_type (include/uapi/linux/bpf.h)
CGROUP_OF_SOCKET: Final = "struct cgroup *cgroup;"
"""In struct sock_cgroup_data: sockets have a cgroup of version 2, also beside version 1. Linux 5.15, 8520e224f547."""
UNIX_PROGRAMS: Final = {"connect_unix": 49, "sendmsg_unix": 50}
"""Program → BPF_CGROUP_UNIX_*: enum bpf_attach_type. Linux 6.7, commit 859051dd165e."""


class Means(NamedTuple):
    """What a kernel has beyond the minimum."""

    unix: bool = True  # programs for unix sockets: Linux 6.7
    chooses_error: bool = True  # a program chooses the error (bpf_set_retval): Linux 5.18, commit b44123b4a3dc

    @property
    def error(self) -> int:
        """The errno of a call that is refused."""
        return errno.ECONNREFUSED if self.chooses_error else errno.EPERM


MEANS: Final = (Means(), Means(unix=False), Means(unix=False, chooses_error=False))
"""From new kernels to old ones."""


class Programs:
    """The programs, attached. They act until they are closed, or until this process ends."""

    def __init__(self, directory: int, table: Table, names: Mapping[bytes, int], counters: int, best: Means) -> None:
        """Load and attach; needs root, takes some tens of milliseconds.

        Args:
            directory: descriptor of the cgroup's directory.
            table: the peers to refuse.
            names: the unix sockets to refuse, each with the index of its counter; only if `means.unix`.
            counters: how many counters there are.
            best: more than this is not tried.

        Raises:
            SvcTraceError: no-libbpf, no-btf, kernel-lacks, bpf-forbidden or load-failed.
        """
        self._library = library = Library()
        with ExitStack() as resources:
            counters = max(1, counters)  # no map is empty
            identity = os.fstat(directory).st_ino
            sizes = {b"refusals": counters, b"places": len(table.places), b"names": len(names)}
            loaded, self.means = self._load(MEANS[MEANS.index(best) :], identity, table, sizes)
            resources.callback(library.close, loaded)
            self._fill("places", loaded, _places(table))
            if self.means.unix:
                self._fill("names", loaded, ((NAME.pack(len(name), name), index) for name, index in names.items()))
            self._mark_inherited(self._map(loaded, "inherited"))
            size = -(-counters * _COUNTER // mmap.PAGESIZE) * mmap.PAGESIZE
            self._counters = mmap.mmap(self._map(loaded, "refusals"), size, mmap.MAP_SHARED, mmap.PROT_READ)
            resources.callback(self._counters.close)
            for program in library.programs(loaded):
                if library.autoload(program):
                    link = library.attach_cgroup(program, directory)
                    if not link:
                        raise _attach_error(library.name(program).decode(), ctypes.get_errno())
                    resources.callback(library.destroy_link, link)
            self._resources = resources.pop_all()

    def count(self, counter: int) -> int:
        """How many calls were refused so far."""
        (count,) = unpack_from("=Q", self._counters, counter * _COUNTER)
        return int(count)

    def close(self) -> None:
        """Detach and free everything. Needs no privilege."""
        self._resources.close()

    def _load(
        self, means: Sequence[Means], identity: int, table: Table, sizes: Mapping[bytes, int]
    ) -> tuple[int, Means]:
        """The object, loaded with the first of the means that the kernel accepts."""
        for one in means:
            try:
                return self._open(one, identity, table, sizes), one
            except OSError as error:
                code = error.errno or 0
        raise self._load_error(code, lambda: self._open(means[-1], identity, table, sizes))

    def _open(self, means: Means, identity: int, table: Table, sizes: Mapping[bytes, int]) -> int:
        library = self._library
        opened: int | None = library.open(os.fsencode(REFUSAL_OBJECT), None)
        if not opened:
            raise OSError(ctypes.get_errno(), "open")
        needed = _needed(table, unix=means.unix and sizes[b"names"] > 0)
        for program in library.programs(opened):
            name = library.name(program).decode()
            library.set_autoload(program, name in needed)
            if name in needed and name in UNIX_PROGRAMS:
                library.set_type(program, _SOCK_ADDR)
                library.set_attach_type(program, UNIX_PROGRAMS[name])
        values = {
            b".rodata.error": pack("=?", means.chooses_error),
            b".rodata.tree": pack("=Q", identity),
            b".bss": b"".join(_by_network_order(table.groups[protocol]) for protocol in ("tcp", "udp")),
        }
        for key, value in values.items():
            library.set_value(library.find_map(opened, key), value, len(value))
        for key, size in sizes.items():
            library.set_max_entries(library.find_map(opened, key), max(1, size))
        if code := -int(library.load(opened)):
            library.close(opened)
            raise OSError(code, "load")
        return opened

    def _map(self, loaded: int, name: str) -> int:
        return int(self._library.map_fd(self._library.find_map(loaded, name.encode())))

    def _fill(self, name: str, loaded: int, entries: Iterable[tuple[bytes, int]]) -> None:
        descriptor = self._map(loaded, name)
        for key, index in entries:
            if self._library.update(descriptor, key, _INDEX.pack(index), 0):
                code = ctypes.get_errno()
                raise OSError(code, f"{os.strerror(code)} (map {name})")

    def _mark_inherited(self, descriptor: int) -> None:
        for one in inherited_sockets():
            self._library.update(descriptor, byref(c_int(one.fileno())), _INDEX.pack(1), 0)

    def _load_error(self, code: int, load_again: Callable[[], object]) -> SvcTraceError:
        """What this kernel lacks; failing that, libbpf's own message."""
        kernel = f"this kernel ({os.uname().release})"
        check = features.btf()
        if not check.answer:
            return cannot_trace(f"{kernel} does not describe its types: {check.detail}", check.remedy or "", "no-btf")
        if name := features.forbidden(self._library):
            return forbidden(name)
        if CGROUP_OF_SOCKET not in (self._library.definitions(("sock_cgroup_data",)) or ""):
            return cannot_trace(
                f"{kernel} cannot refuse services to the command only",
                "Run it on Linux 5.15 or later, with CONFIG_CGROUP_BPF.",
                "kernel-lacks",
            )

        def try_again() -> None:
            with suppress(OSError):
                load_again()

        return cannot_trace(
            f"the kernel refused the programs that refuse services ({errno.errorcode.get(code, code)}): "
            f"{self._library.messages(try_again)}",
            "Report this with the kernel's version and the line above.",
            "load-failed",
        )


def _needed(table: Table, *, unix: bool) -> set[str]:
    """The programs that have something to refuse: the kernel takes 0.2 µs to call one, on the whole machine."""
    tcp, udp = (any(table.groups[protocol]) for protocol in ("tcp", "udp"))
    needed = {"connect4", "connect6"} if tcp else set()
    return needed | ({"sendmsg4", "sendmsg6", "egress"} if udp else set()) | (UNIX_PROGRAMS.keys() if unix else set())


def _places(table: Table) -> Iterator[tuple[bytes, int]]:
    for group, network, target in table.places:
        bits = _FAMILY_BITS + network.prefixlen
        yield PLACE.pack(bits, group, network.version, 0, network.network_address.packed), target


def _by_network_order(groups: array[int]) -> bytes:
    """The groups of all ports, by the port in network byte order."""
    if sys.byteorder == "big":
        return groups.tobytes()
    return b"".join(groups[low::256].tobytes() for low in range(256))


def _attach_error(program: str, code: int) -> SvcTraceError:
    return cannot_trace(
        f"the kernel did not attach {program} to the run's cgroup ({errno.errorcode.get(code, code)})",
        "Run it outside of cgroups whose own programs permit no others below them (bpftool cgroup tree).",
        "load-failed",
    )
