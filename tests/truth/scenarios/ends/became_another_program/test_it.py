import os
import sys

from peers import alpha

PROGRAM = "import sys; from peers import beta; beta.ask(); sys.exit(77)"


def test_it():
    alpha.ask()
    os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
