"""What the probes are attached to: the tables agree with the compiled object and with bcc's text."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tracer
from tracer.record.capture.bpf import bcc_loader
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.bpf.programs import (
    FREEING_TRACEPOINTS,
    OBJECT,
    RECEIVE_TRACEPOINTS,
    SEND_FUNCTIONS,
    SOURCES,
    TOLERATED_MISSES,
    TRACEPOINTS,
    WAKE_UP_TRACEPOINTS,
)


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """Program of the compiled object → its section, such as `kprobe/inet_sendmsg`."""
    library = Library()
    opened = library.open(os.fsencode(OBJECT), None)
    programs = {
        library.name(program).decode(): library.section(program).decode() for program in library.programs(opened)
    }
    library.close(opened)
    return programs


def test_the_tracepoints_are_those_of_the_object(sections: dict[str, str]) -> None:
    raw = {name: section.removeprefix("tp_btf/") for name, section in sections.items() if section.startswith("tp_btf/")}
    assert raw == TRACEPOINTS | RECEIVE_TRACEPOINTS | WAKE_UP_TRACEPOINTS


@pytest.mark.parametrize("kind", ["kprobe", "fexit"])
def test_the_send_functions_are_those_of_the_object(kind: str, sections: dict[str, str]) -> None:
    targets = {section.removeprefix(f"{kind}/") for section in sections.values() if section.startswith(f"{kind}/")}
    assert targets - {"bpf_sk_storage_free"} == SEND_FUNCTIONS.keys()


def test_the_programs_are_those_of_bccs_text() -> None:
    text = (SOURCES / "svc_trace.bcc.c").read_text()
    attached = {
        *TRACEPOINTS,
        *FREEING_TRACEPOINTS,
        *RECEIVE_TRACEPOINTS,
        *WAKE_UP_TRACEPOINTS,
        *SEND_FUNCTIONS.values(),
        "send_ends",
        "learn_registers",
    }
    assert set(re.findall(r"^int svc_(\w+)\(", text, re.MULTILINE)) == attached


def test_tolerated_misses_are_programs() -> None:
    assert {*TRACEPOINTS, *FREEING_TRACEPOINTS, *RECEIVE_TRACEPOINTS, *WAKE_UP_TRACEPOINTS} >= TOLERATED_MISSES


def test_bccs_loader_needs_the_standard_library_only() -> None:
    """As it runs: isolated, without any package but this one."""
    root = Path(tracer.__file__).parents[1]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import {bcc_loader.__name__}"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
