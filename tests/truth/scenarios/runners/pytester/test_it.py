from peers import delta

pytest_plugins = ["pytester"]

INNER = """
import pytest
from peers import alpha, beta

@pytest.fixture(scope="session")
def pool():
    alpha.ask()

def test_inner(pool):
    beta.ask()

def test_fails(pool):
    raise RuntimeError
"""


def test_in_process(pytester):
    pytester.makepyfile(INNER)
    pytester.runpytest_inprocess().assert_outcomes(passed=1, failed=1)


def test_as_a_child(pytester):
    pytester.makepyfile(INNER)
    pytester.runpytest_subprocess().assert_outcomes(passed=1, failed=1)


def test_inline(pytester):
    pytester.makepyfile(INNER)
    pytester.inline_run().assertoutcome(passed=1, failed=1)


def test_without(pytester):
    delta.ask()
