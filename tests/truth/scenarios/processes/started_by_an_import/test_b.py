import sys


def test_other_module():
    daemon = sys.modules["test_a"].daemon
    daemon.ask("alpha")
    daemon.stop()
