import pytest
from peers import alpha


@pytest.fixture(scope="session")
def exits():
    alpha.ask()
    pytest.exit("in a fixture")


def pytest_runtest_logfinish(nodeid):
    if nodeid.startswith("test_between.py"):
        pytest.exit("between two tests")
