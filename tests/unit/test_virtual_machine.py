"""The virtual machines for tests: the kernel that they boot, and how they pass on output and exit status."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kernels import newest
from vm import GuestError, follow


@pytest.mark.parametrize(
    ("series", "releases", "expected"),
    [
        ("6.1", ["6.1.0-9-amd64", "6.1.0-47-amd64", "6.1.0-10-amd64"], "6.1.0-47-amd64"),
        ("6.1", ["6.1.0-9-amd64", "6.1.0-10-cloud-amd64", "6.1.0-10-rt-amd64", "6.12-amd64"], "6.1.0-9-amd64"),
        ("6.1", ["6.12.9+deb12-amd64"], None),
        ("6.12", ["6.12.9+deb12-amd64", "6.12.100+deb12-amd64", "6.12-amd64"], "6.12.100+deb12-amd64"),
        ("6.12", ["6.12.9+bpo-amd64", "6.12.9+bpo-rt-amd64", "6.12.9+bpo-amd64-unsigned"], "6.12.9+bpo-amd64"),
    ],
)
def test_the_newest_release_of_a_series_is_chosen(series: str, releases: list[str], expected: str | None) -> None:
    assert newest(series, [f"linux-image-{release}" for release in releases]) == expected


@contextmanager
def guest(output: bytes, status: bytes, *, ends: bool) -> Iterator[tuple[int, int]]:
    """The pipes of a guest that wrote this, and then ended or hangs."""
    (output_end, to_output), (status_end, to_status) = os.pipe(), os.pipe()
    os.write(to_output, output)
    os.write(to_status, status)
    if ends:
        os.close(to_output)
        os.close(to_status)
    try:
        yield output_end, status_end
    finally:
        for descriptor in (output_end, status_end, *(() if ends else (to_output, to_status))):
            os.close(descriptor)


def test_output_and_exit_status_are_those_of_the_command(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with guest(b"1 failed\n", b"up\n1\n", ends=True) as pipes:
        assert follow(*pipes, 60, 60) == 1
    assert capfdbinary.readouterr().out == b"1 failed\n"


@pytest.mark.parametrize(
    ("status", "ends", "problem"),
    [
        (b"", True, "the guest ended while it booted"),
        (b"", False, "the guest does not boot"),
        (b"up\n", True, "the guest ended before the command"),
        (b"up\n", False, "the command took longer than 0 s"),
        (b"up\n1", True, "the guest ended before the command"),
    ],
)
def test_a_guest_that_fails_is_an_error(status: bytes, ends: bool, problem: str) -> None:
    with guest(b"1 passed\n", status, ends=ends) as pipes, pytest.raises(GuestError, match=problem):
        follow(*pipes, 0.01, 0)
