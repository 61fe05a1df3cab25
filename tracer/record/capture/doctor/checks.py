"""What a machine lets a tracer do: one check a question, each with its remedy.

An answer has three values. `None` is not a weak no: the machine would not say, and only a trial tells.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """The answer to one question about this machine."""

    name: str  # stable: what is asked about, a word or two
    answer: bool | None  # None: couldn't tell
    detail: str  # what was found
    remedy: str | None = None  # what to do about a no
