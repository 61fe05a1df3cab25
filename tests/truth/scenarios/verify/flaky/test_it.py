from contextlib import suppress
from pathlib import Path

from peers import alpha


def fails_in(*numbers):
    """Use the service, if it is there, and fail in these runs. Odd ones have it."""
    with suppress(ConnectionRefusedError):
        alpha.ask()
    runs = Path("runs")
    assert len(runs.read_text()) not in numbers


def test_counts_the_runs():
    with Path("runs").open("a") as runs:
        runs.write(".")
    alpha.ask()


def test_passes_once_without():
    fails_in(2, 6)


def test_fails_once_with():
    fails_in(2, 4, 5, 6)


def test_always_fails_without():
    fails_in(2, 4, 6)


def test_never_fails():
    fails_in()
