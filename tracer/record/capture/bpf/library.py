"""The system's libbpf.so.1, by ctypes.

Instead of a compiled extension: some two dozen functions are needed, all of them at the start or at the end.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from ctypes import c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from struct import Struct
from typing import Final

from tracer.errors import cannot_trace

RAW_TRACEPOINT: Final = 23  # BPF_TRACE_RAW_TP: enum bpf_attach_type (include/uapi/linux/bpf.h)
FENTRY: Final = 24  # BPF_TRACE_FENTRY
_TRACING: Final = 26  # BPF_PROG_TYPE_TRACING: enum bpf_prog_type
_STRUCT: Final = 4  # BTF_KIND_STRUCT (include/uapi/linux/btf.h)
_FUNCTION: Final = 12  # BTF_KIND_FUNC
EMPTY_PROGRAM: Final = bytes.fromhex("b700000000000000 9500000000000000")  # r0 = 0; exit

# Both callbacks take a va_list, which decays to a pointer.
_LOG_CALLBACK = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)  # libbpf_print_fn_t
_DUMP_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)  # btf_dump_printf_fn_t
_LOG_INFO = 1  # LIBBPF_INFO; the next level reports every relocation


_LOAD_OPTIONS: Final = Struct("@Nii5Ii")
"""The beginning of struct bpf_prog_load_opts (bpf/bpf.h).

Its size, attempts, expected_attach_type, prog_btf_fd, prog_flags, prog_ifindex, kern_version, attach_btf_id,
attach_prog_fd.
"""


class Library:
    """The functions of libbpf.so.1 that are used, with their types (bpf/libbpf.h, bpf/bpf.h, bpf/btf.h)."""

    def __init__(self) -> None:
        """Load the library.

        Raises:
            SvcTraceError: no-libbpf.
        """
        try:
            library = ctypes.CDLL("libbpf.so.1", use_errno=True)
        except OSError:
            raise cannot_trace(
                "libbpf.so.1 is not installed",
                "Install it: apt-get install libbpf1 (Debian, Ubuntu) or dnf install libbpf (Fedora).",
                "no-libbpf",
            ) from None
        self.version = declare(library.libbpf_version_string, c_char_p)
        self.open = declare(library.bpf_object__open_file, c_void_p, c_char_p, c_void_p)
        self.load = declare(library.bpf_object__load, c_int, c_void_p)
        self.close = declare(library.bpf_object__close, None, c_void_p)
        self.find_map = declare(library.bpf_object__find_map_by_name, c_void_p, c_void_p, c_char_p)
        self.map_fd = declare(library.bpf_map__fd, c_int, c_void_p)
        self.set_max_entries = declare(library.bpf_map__set_max_entries, c_int, c_void_p, c_uint32)
        self.set_value = declare(library.bpf_map__set_initial_value, c_int, c_void_p, c_char_p, c_size_t)
        self.name = declare(library.bpf_program__name, c_char_p, c_void_p)
        self.section = declare(library.bpf_program__section_name, c_char_p, c_void_p)
        self.set_type = declare(library.bpf_program__set_type, c_int, c_void_p, c_int)
        self.set_attach_type = declare(library.bpf_program__set_expected_attach_type, c_int, c_void_p, c_int)
        self.set_autoload = declare(library.bpf_program__set_autoload, c_int, c_void_p, c_bool)
        self.autoload = declare(library.bpf_program__autoload, c_bool, c_void_p)
        self.program_fd = declare(library.bpf_program__fd, c_int, c_void_p)
        self.attach = declare(library.bpf_program__attach, c_void_p, c_void_p)
        self.attach_kprobe = declare(library.bpf_program__attach_kprobe, c_void_p, c_void_p, c_bool, c_char_p)
        self.attach_cgroup = declare(library.bpf_program__attach_cgroup, c_void_p, c_void_p, c_int)
        self.destroy_link = declare(library.bpf_link__destroy, c_int, c_void_p)
        self.update = declare(library.bpf_map_update_elem, c_int, c_int, c_void_p, c_void_p, c_uint64)
        self.kernel_type = declare(library.libbpf_find_vmlinux_btf_id, c_int, c_char_p, c_int)
        self.probe_helper = declare(library.libbpf_probe_bpf_helper, c_int, c_int, c_int, c_void_p)
        self.open_raw_tracepoint = declare(library.bpf_raw_tracepoint_open, c_int, c_char_p, c_int)
        self._next_program = declare(library.bpf_object__next_program, c_void_p, c_void_p, c_void_p)
        self._load_types = declare(library.btf__load_vmlinux_btf, c_void_p)
        self._find_type = declare(library.btf__find_by_name_kind, c_int, c_void_p, c_char_p, c_uint32)
        self._free_types = declare(library.btf__free, None, c_void_p)
        self._new_dump = declare(library.btf_dump__new, c_void_p, c_void_p, _DUMP_CALLBACK, c_void_p, c_void_p)
        self._dump_type = declare(library.btf_dump__dump_type, c_int, c_void_p, c_uint32)
        self._free_dump = declare(library.btf_dump__free, None, c_void_p)
        self._load_program = declare(
            library.bpf_prog_load, c_int, c_int, c_char_p, c_char_p, c_char_p, c_size_t, c_char_p
        )
        self._set_print = declare(library.libbpf_set_print, c_void_p, c_void_p)
        self._set_print(None)  # each of the thousands of lines at debug level would be a call into Python

    def programs(self, loaded: int) -> Iterator[int]:
        """The programs of an object."""
        program = self._next_program(loaded, None)
        while program:
            yield program
            program = self._next_program(loaded, program)

    def functions(self, names: AbstractSet[str]) -> set[str]:
        """Those of the functions that the kernel itself has and describes, without its modules'."""
        types = self._load_types()
        if not types:
            return set()
        try:
            return {name for name in names if self._find_type(types, name.encode(), _FUNCTION) > 0}
        finally:
            self._free_types(types)

    def definitions(self, structs: Iterable[str]) -> str | None:
        """C definitions of the kernel's structs, with this kernel's layout; None if its BTF lacks one or is missing."""
        types = self._load_types()
        if not types:
            return None
        written: list[str] = []
        callback = _DUMP_CALLBACK(lambda _, form, arguments: written.append(_formatted(form, arguments)))
        dump = self._new_dump(types, callback, None, None)
        try:
            for name in structs:
                number = self._find_type(types, name.encode(), _STRUCT)
                if number < 0 or self._dump_type(dump, number):
                    return None
        finally:
            self._free_dump(dump)
            self._free_types(types)
        return "".join(written)

    def load_empty(self, attach_type: int, kernel_type: int) -> int:
        """Load a tracing program that does nothing; returns its descriptor or -errno."""
        options = _LOAD_OPTIONS.pack(_LOAD_OPTIONS.size, 0, attach_type, 0, 0, 0, 0, kernel_type, 0)
        instructions = len(EMPTY_PROGRAM) // 8
        return int(self._load_program(_TRACING, b"nothing", b"GPL", EMPTY_PROGRAM, instructions, options))

    def messages(self, load: Callable[[], object]) -> str:
        """The line about the failure that libbpf prints during `load`."""
        lines: list[str] = []

        def keep(level: int, form: bytes, arguments: int) -> int:
            if level <= _LOG_INFO:
                lines.append(_formatted(form, arguments).strip().removeprefix("libbpf: "))
            return 0

        callback = _LOG_CALLBACK(keep)
        self._set_print(ctypes.cast(callback, c_void_p))
        try:
            load()
        finally:
            self._set_print(None)
        return next((line for line in lines if "failed" in line or "Error" in line), "libbpf gives no reason")


def declare(function: ctypes._NamedFuncPointer, result: object, *arguments: object) -> ctypes._NamedFuncPointer:
    """Set the types of a C function's result and arguments."""
    function.restype = result  # type: ignore[assignment]  # any ctypes type
    function.argtypes = arguments  # type: ignore[assignment]
    return function


def _formatted(form: bytes, arguments: int) -> str:
    """The text of a format and a va_list."""
    buffer = ctypes.create_string_buffer(4096)
    ctypes.CDLL(None).vsnprintf(buffer, c_size_t(len(buffer)), form, c_void_p(arguments))
    return buffer.value.decode(errors="replace")
