"""One answer to a question about this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """The answer to one question about this machine."""

    name: str  # stable: the question's subject, a word or two
    answer: bool | None  # None: unknown, only a trial can show it
    detail: str  # what this machine has
    remedy: str | None = None  # what to do if the answer is no
