"""The plugin of `svc-trace init`: it writes what pytest knows about a suite after its collection. PYTEST_DONT_REWRITE

Without the variable SVC_TRACE_LISTING, the path of the file, it does nothing. The content is `Listing` of suite.py in
JSON.
"""

from __future__ import annotations

import collections
import json
import os
import sys
from typing import Any

import pytest

from .fixtures import static_facts


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the tests, and the modules that their imports have loaded."""
    path = os.environ.get("SVC_TRACE_LISTING")
    if path is None:
        return
    tests = collections.Counter(
        static_facts(item, list(getattr(item, "fixturenames", ())))[:4] for item in session.items
    )
    listing = {
        "tests": [[facts, number] for facts, number in tests.items()],
        "markers": list(session.config.getini("markers")),
        "modules": sorted({name.split(".")[0] for name in list(sys.modules)}),
        "databases": _django_databases(),
        "errors": session.testsfailed,
    }
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 -- as fast as it gets
        json.dump(listing, file)


def _django_databases() -> list[list[str]]:
    """Engine and port of each database of a Django project whose settings are loaded."""
    settings: Any = getattr(sys.modules.get("django.conf"), "settings", None)
    try:
        databases = settings.DATABASES.values() if settings is not None and settings.configured else ()
        return [[str(one.get("ENGINE", "")), str(one.get("PORT", ""))] for one in databases]
    except Exception:
        return []  # settings that cannot be read
