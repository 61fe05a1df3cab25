"""What bcc is given to compile: the running kernel's types, in C, have the layout that the kernel has."""

from __future__ import annotations

import ctypes
import errno
import subprocess
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from btf_types import Btf

from tracer.errors import SvcTraceError
from tracer.record.capture.bpf import bcc_loader
from tracer.record.capture.bpf.bcc import _failure
from tracer.record.capture.bpf.bcc_loader import TYPES, types_from_btf


def test_the_types_have_the_layout_of_the_kernel(require: Callable[[str], None]) -> None:
    require("btf")
    kernel, text = Btf.of_kernel(), types_from_btf()
    assert text is not None
    checks = [
        f'_Static_assert(__builtin_offsetof(struct {name}, {member}) == {offset}, "{name}.{member}");'
        for name in TYPES
        for member, offset, _ in kernel.members(name)
        if member
    ]
    checks += [f'_Static_assert(sizeof(struct {name}) == {kernel.members(name)[-1][1]}, "{name}");' for name in TYPES]
    assert len(checks) > 300
    compiled = subprocess.run(
        ["clang", "-fsyntax-only", "-w", "-x", "c", "-"],
        input="\n".join([text, *checks]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.stderr == ""


@pytest.mark.parametrize(
    ("slug", "said", "message"),
    [
        ("compile-failed", ["In file included", "x.h:1: error: one", "x.h:2: error: two"], "detail: x.h:1: error: one"),
        ("compile-failed", [], "detail: no reason is given"),
        ("load-failed", ["bpf: Failed", "R2 unbounded memory access"], "detail: R2 unbounded memory access"),
        ("bpf-forbidden", ["bpf: Failed to load program"], "detail"),
    ],
)
def test_a_failure_says_why(slug: str, said: list[str], message: str) -> None:
    error = _failure("detail", "hint", slug, said)
    assert (error.message, error.hint, error.slug) == (message, "hint", slug)


def compiled(monkeypatch: pytest.MonkeyPatch, **members: object) -> bcc_loader._Probes:
    """The probes, by a bcc with other members, on a kernel that has no tracepoint for sends."""
    bpf = SimpleNamespace(**{"cleanup": None, "load_func": lambda *_: None, "KPROBE": 2, "kprobe_fds": {}} | members)
    monkeypatch.setattr(bcc_loader, "_import_bcc", lambda: SimpleNamespace(BPF=lambda **_: bpf))
    monkeypatch.setattr(bcc_loader._Probes, "_has_tracepoint", lambda *_: False)
    return bcc_loader._Probes(2, 4096)


def refuse(code: int) -> Callable[..., None]:
    def raise_it(*_: object, **__: object) -> None:
        ctypes.set_errno(code)
        raise Exception("of bcc")

    return raise_it


def failure(monkeypatch: pytest.MonkeyPatch, **members: object) -> SvcTraceError:
    with pytest.raises(SvcTraceError) as caught:
        compiled(monkeypatch, **members)._attach_to_functions()
    return caught.value


def test_without_bcc_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcc_loader, "installed", lambda: None)
    with pytest.raises(SvcTraceError, match="bcc is not installed") as caught:
        bcc_loader._Probes(2, 4096)
    assert (caught.value.slug, "apt-get install python3-bpfcc" in caught.value.hint) == ("no-bcc", True)


def test_without_types_the_headers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcc_loader, "types_from_btf", lambda: None)
    monkeypatch.setattr(bcc_loader, "kernel_headers", lambda: None)
    error = failure(monkeypatch)
    assert (error.slug, "apt-get install linux-headers-" in error.hint) == ("no-kernel-headers", True)


def test_a_kernel_without_send_functions_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failure(monkeypatch, attach_kprobe=refuse(errno.ENOENT))
    assert (error.slug, "6.3" in error.hint) == ("kernel-too-old", True)
    assert "has no tracepoint sock_send_length" in error.message


@pytest.mark.parametrize("method", ["load_func", "attach_kprobe", "attach_kretprobe"])
def test_a_refusal_has_the_kernels_error(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {"attach_kprobe": lambda **_: None, "attach_kretprobe": lambda **_: None, method: refuse(errno.EPERM)}
    error = failure(monkeypatch, **members)
    assert (error.slug, "EPERM" in error.message, "-m" in error.hint) == ("load-failed", True, True)
