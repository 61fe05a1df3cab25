"""Names of fixtures as people know them. pytest and its plugins define some fixtures under names of their own."""

from __future__ import annotations

import re
from typing import Final

_XUNIT: Final = re.compile(r"_(?:unittest|xunit)_(setUpClass|setup_(?:module|class|method|function))_fixture_\S+")
"""pytest 7 to 9: `_unittest_setUpClass_fixture_` and a class, `_xunit_setup_module_fixture_` and a module."""
_PLUGINS: Final = {"_django_db_helper": "db", "_live_server_helper": "live_server"}
"""pytest-django 4: the fixtures that do the work of others."""
_INTERNAL: Final = re.compile(rf"\b(?:{_XUNIT.pattern}|(?:{'|'.join(_PLUGINS)})\b)")


def known_fixture(text: str) -> str:
    """A fixture's name, or a text with names that are followed by blanks, as people know them.

    `_unittest_setUpClass_fixture_TestCart` is `setUpClass`, `_django_db_helper` is `db`. `setUpModule` and
    `setup_module` have one name in pytest: `setup_module`.
    """
    return _INTERNAL.sub(lambda name: name[1] or _PLUGINS[name[0]], text)
