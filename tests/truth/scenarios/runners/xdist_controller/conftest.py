import pytest
from peers import abstract, alpha, beta, delta, gamma, packets, six, stream


def pytest_configure(config):
    (gamma if hasattr(config, "workerinput") else alpha).ask()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    beta.ask()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    stream.ask()


class InController:
    def pytest_runtest_logreport(self, report):
        delta.ask()

    def pytest_runtest_logstart(self):
        packets.ask()


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(InController())


def pytest_sessionfinish(session):
    (six if hasattr(session.config, "workerinput") else abstract).ask()
