"""Options of pytest with which a session ends before all of its tests have run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tracer.errors import ExitStatus, SvcTraceError

_PYTEST: Final = frozenset({"pytest", "py.test"})
_LONG: Final = frozenset({"--exitfirst", "--maxfail", "--stepwise", "--sw", "--lf", "--last-failed"})
_SHORT: Final = re.compile(r"-[hlqsvV]*x.*")
"""`-x`, alone or after options without a value, such as `-vx`."""


def check_goes_on(command: Sequence[str]) -> None:
    """Check that pytest runs all of its tests, also after a failure, as far as its command line shows that.

    What its environment, its configuration or a program that starts it adds is not seen here: the hook overrides that.

    Raises:
        SvcTraceError: it does not.
    """
    for word in _arguments(command):
        if word.partition("=")[0] in _LONG or _SHORT.fullmatch(word):
            raise SvcTraceError(
                f"with {word}, pytest does not run all tests: those after the first failures would have no verdict",
                hint=f"Remove {word} from the command.",
                slug="stops-early",
                exit_code=ExitStatus.USAGE,
            )


def _arguments(command: Sequence[str]) -> Iterator[str]:
    """The options and arguments of the first pytest on a command line."""
    words = iter(command)
    if any(Path(word).name in _PYTEST for word in words):
        for word in words:
            if word == "--":
                return
            yield word
