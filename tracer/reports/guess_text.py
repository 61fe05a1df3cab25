"""What was guessed about unknown tests, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tracer.classify.guesses import Basis, Guesses
from tracer.reports.text import counted, percent

_BASES: Final[Mapping[Basis, str]] = {
    "function": "the same function with other parameters",
    "class": "the tests of its class",
    "fixtures": "tests with the same fixtures",
    "file": "the tests of its file",
    "rules": "rules, which read its path and class",
}


def guess_text(guesses: Guesses) -> str:
    """How many tests were guessed by each basis, and its recall; empty if none was."""
    parts = []
    for basis, tests in guesses.guessed.items():
        recall = guesses.recall[basis]
        share = percent(recall.sufficed, recall.tests)
        known = f"which suffices for {share} of {recall.tests:,} known tests" if recall.tests else "not checked"
        parts.append(f"{counted(tests, 'test')} by {_BASES[basis]}, {known}")
    return "; ".join(parts)
