"""Types in BTF (Documentation/bpf/btf.rst), read by libbpf."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_int64, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path

STRUCT, ENUM = 4, 6  # BTF_KIND_*


class _Type(ctypes.Structure):
    """struct btf_type; what it consists of follows it."""

    _fields_ = (("name", c_uint32), ("info", c_uint32), ("size", c_uint32))


class _Member(ctypes.Structure):
    """struct btf_member. The kernel's offsets have the size of a bit-field, or 0, in their highest byte."""

    _fields_ = (("name", c_uint32), ("type", c_uint32), ("bit_offset", c_uint32))


class _Value(ctypes.Structure):
    """struct btf_enum."""

    _fields_ = (("name", c_uint32), ("value", ctypes.c_int32))


@dataclass(frozen=True, slots=True)
class Btf:
    """The types of an object, or of the running kernel."""

    library: ctypes.CDLL
    pointer: int

    @classmethod
    def of_object(cls, path: Path) -> Btf:
        library = _library()
        parsed = library.btf__parse(os.fsencode(path), None)
        assert parsed, f"no BTF in {path}: run scripts/build_native.py"
        return cls(library, parsed)

    @classmethod
    def of_kernel(cls) -> Btf:
        library = _library()
        parsed = library.btf__load_vmlinux_btf()
        assert parsed, "the kernel has no BTF"
        return cls(library, parsed)

    def _find(self, name: str, kind: int) -> _Type:
        number = self.library.btf__find_by_name_kind(self.pointer, name.encode(), kind)
        assert number > 0, f"there is no {name}"
        found: _Type = self.library.btf__type_by_id(self.pointer, number).contents
        return found

    def _parts(self, whole: _Type, of: type[ctypes.Structure]) -> ctypes.Array[ctypes.Structure]:
        parts = of * (whole.info & 0xFFFF)
        found: ctypes.Array[ctypes.Structure] = parts.from_address(ctypes.addressof(whole) + ctypes.sizeof(whole))
        return found

    def _name(self, offset: int) -> str:
        name: bytes = self.library.btf__name_by_offset(self.pointer, offset)
        return name.decode()

    def members(self, name: str) -> list[tuple[str, int, int]]:
        """A struct's members in order, but for bit-fields: name, offset, size; the last is the end of the struct."""
        whole = self._find(name, STRUCT)
        return [
            *(
                (self._name(one.name), one.bit_offset // 8, self.library.btf__resolve_size(self.pointer, one.type))
                for one in self._parts(whole, _Member)
                if one.bit_offset < 1 << 24
            ),
            ("", whole.size, 0),
        ]

    def values(self, name: str) -> dict[str, int]:
        """An enumeration's names and values."""
        return {self._name(one.name): one.value for one in self._parts(self._find(name, ENUM), _Value)}


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libbpf.so.1")
    for name, result, arguments in (
        ("btf__parse", c_void_p, [c_char_p, c_void_p]),
        ("btf__load_vmlinux_btf", c_void_p, []),
        ("btf__find_by_name_kind", ctypes.c_int32, [c_void_p, c_char_p, c_uint32]),
        ("btf__type_by_id", POINTER(_Type), [c_void_p, c_uint32]),
        ("btf__name_by_offset", c_char_p, [c_void_p, c_uint32]),
        ("btf__resolve_size", c_int64, [c_void_p, c_uint32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
