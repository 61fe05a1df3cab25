import os

from peers import alpha


def test_itself():
    assert os.getuid() == 65534  # whoever it is outside
    alpha.ask()
