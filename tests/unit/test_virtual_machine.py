"""The virtual machines that tests run in: which kernel they boot, and that what the guest tells is what they say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kernels import newest
from vm import GuestError, follow


@pytest.mark.parametrize(
    ("series", "found", "expected"),
    [
        ("6.1", ["6.1.0-9-amd64", "6.1.0-47-amd64", "6.1.0-10-amd64"], "6.1.0-47-amd64"),
        ("6.1", ["6.1.0-9-amd64", "6.1.0-10-cloud-amd64", "6.1.0-10-rt-amd64", "6.12-amd64"], "6.1.0-9-amd64"),
        ("6.1", ["6.12.9+deb12-amd64"], None),
        ("6.12", ["6.12.9+deb12-amd64", "6.12.100+deb12-amd64", "6.12-amd64"], "6.12.100+deb12-amd64"),
        ("6.12", ["6.12.9+bpo-amd64", "6.12.9+bpo-rt-amd64", "6.12.9+bpo-amd64-unsigned"], "6.12.9+bpo-amd64"),
    ],
)
def test_the_newest_of_a_series_is_taken(series: str, found: list[str], expected: str | None) -> None:
    assert newest(series, [f"linux-image-{release}" for release in found]) == expected


@contextmanager
def guest(output: bytes, status: bytes, *, ends: bool) -> Iterator[tuple[int, int]]:
    """Both pipes, as a guest leaves them that has ended, or that is silent."""
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


def test_output_and_status_are_the_commands(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with guest(b"1 failed\n", b"up\n1\n", ends=True) as pipes:
        assert follow(*pipes, 60, 60) == 1
    assert capfdbinary.readouterr().out == b"1 failed\n"


@pytest.mark.parametrize(
    ("status", "ends", "problem"),
    [
        (b"", True, "the guest died while it booted"),
        (b"", False, "the guest does not boot"),
        (b"up\n", True, "the guest died under the command"),
        (b"up\n", False, "the command took longer than 0 s"),
        (b"up\n1", True, "the guest died under the command"),
    ],
)
def test_a_guest_that_fails_is_no_success(status: bytes, ends: bool, problem: str) -> None:
    with guest(b"1 passed\n", status, ends=ends) as pipes, pytest.raises(GuestError, match=problem):
        follow(*pipes, 0.01, 0)
