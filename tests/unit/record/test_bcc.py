"""What bcc is given to compile: the running kernel's types, in C, have the layout that the kernel has."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from btf_types import Btf

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
    ("slug", "detail", "said", "message", "hint"),
    [
        ("no-bcc", "no python3", [], "not installed", "apt-get install python3-bpfcc"),
        ("no-kernel-headers", "6.1", [], "headers", "apt-get install linux-headers-"),
        ("kernel-too-old", "tracepoint x", [], "has no tracepoint x", "6.3"),
        (
            "compile-failed",
            "",
            ["In file included", "x.h:1: error: one", "x.h:2: error: two"],
            "x.h:1: error: one",
            "-m",
        ),
        ("compile-failed", "status -6", [], "status -6", "-m"),
        ("load-failed", "p: EACCES", ["bpf: Failed", "R2 unbounded memory access"], "R2 unbounded", "-m"),
        ("bpf-forbidden", "EPERM", ["bpf: Failed to load program"], "EPERM", "--privileged"),
    ],
)
def test_each_failure_says_what_to_do(slug: str, detail: str, said: list[str], message: str, hint: str) -> None:
    error = _failure(slug, detail, said)
    assert error.slug == slug
    assert message in error.message
    assert hint in (error.hint or "")
    assert "two" not in error.message
