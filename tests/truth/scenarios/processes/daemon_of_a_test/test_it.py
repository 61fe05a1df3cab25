import pytest
from daemon import Daemon

daemons = []


def test_starts():
    daemons.append(Daemon())
    daemons[0].ask("alpha")
    daemons[0].ask("alpha")


def test_meanwhile():
    daemons[0].ask("alpha")


class TestLater:
    @pytest.fixture
    def around(self):
        daemons[0].ask("alpha")
        yield
        daemons[0].ask("alpha")

    def test_setup_and_teardown(self, around):
        pass


def test_connects_anew():
    daemons[0].ask("beta")


def test_keeps_both():
    daemons[0].ask("alpha")
    daemons[0].ask("beta")


def test_stops():
    daemons.pop().stop()
