from peers import alpha

alpha.ask()

import no_such_module  # noqa: E402, F401


def test_it():
    pass
