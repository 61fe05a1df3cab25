"""The checks that fail a test which leaks: they can fail, and only for what is the session's own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernel.leaks import open_files, temporary_files, unloading
from kernel.traced import HOLD, backend, capturing

pytestmark = [pytest.mark.kernel, pytest.mark.probes]


@contextmanager
def holder(environment: Mapping[str, str]) -> Iterator[None]:
    """A process that has the programs loaded and attached."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, backend()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield


@pytest.mark.parametrize("kind", ["prog", "link"])
def test_what_is_still_loaded_is_told(kind: str) -> None:
    check = unloading(kind, grace_s=0)
    check.__enter__()
    with capturing(), pytest.raises(AssertionError, match=f"BPF {kind}s are left"):
        check.__exit__(None, None, None)


@pytest.mark.parametrize("kind", ["prog", "link"])
def test_what_a_child_has_loaded_is_told(kind: str) -> None:
    check = unloading(kind, grace_s=0)
    check.__enter__()
    with holder(os.environ), pytest.raises(AssertionError, match=f"BPF {kind}s are left"):
        check.__exit__(None, None, None)


@pytest.mark.parametrize("kind", ["prog", "link"])
def test_what_another_session_has_loaded_is_its_own(kind: str, tmp_path: Path) -> None:
    check = unloading(kind)
    check.__enter__()
    with holder({**os.environ, "TMPDIR": str(tmp_path)}):
        check.__exit__(None, None, None)


def test_an_open_file_is_told() -> None:
    before = open_files()
    with tempfile.TemporaryFile():
        assert open_files() != before
    assert open_files() == before


def test_a_temporary_file_is_told() -> None:
    before = temporary_files()
    with tempfile.NamedTemporaryFile() as file:
        assert temporary_files() - before == {Path(file.name)}
    assert temporary_files() == before
