"""Fixtures that tests of several kinds share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def shop_services() -> Iterator[dict[str, str]]:
    """The real servers of the example suite, started once: the environment variables that hold their addresses."""
    from services import running  # its dependencies are the `example` group's, which other tests do without

    with running() as environment:
        yield environment
