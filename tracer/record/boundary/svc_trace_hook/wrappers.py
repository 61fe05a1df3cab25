"""Hook wrappers for all supported versions of pluggy. PYTEST_DONT_REWRITE

pluggy 1.2 has new-style wrappers, which are faster: `yield` returns the result, or raises. Before that, `yield` returns
an object that contains the result or the exception.
"""

from __future__ import annotations

from typing import Any, Generator

import pytest

Wrapper = Generator[None, Any, Any]

try:
    outermost = pytest.hookimpl(wrapper=True, tryfirst=True)
    OLD_STYLE = False
except TypeError:
    outermost = pytest.hookimpl(hookwrapper=True, tryfirst=True)
    OLD_STYLE = True
