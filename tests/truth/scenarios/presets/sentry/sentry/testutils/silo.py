import sys

import pytest

from sentry.silo import SiloMode


def all_silo_test(decorated):
    """A function runs in each mode as its parameter says; a class stays as it is, with a copy for each other mode."""
    if not isinstance(decorated, type):
        return pytest.mark.parametrize("silo_mode", SiloMode)(decorated)
    for mode in (SiloMode.CONTROL, SiloMode.REGION):
        name = f"{decorated.__name__}__In{mode.name.capitalize()}Mode"
        setattr(sys.modules[decorated.__module__], name, type(name, (decorated,), {"silo_mode": mode}))
    decorated.silo_mode = SiloMode.MONOLITH
    return decorated
