import unittest

import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture
def around():
    alpha.ask()
    yield
    gamma.ask()


@pytest.fixture
def breaks():
    beta.ask()
    raise RuntimeError("after it has sent")


@pytest.fixture
def skips():
    beta.ask()
    pytest.skip("after it has sent")


@pytest.fixture
def fails_as_expected():
    beta.ask()
    pytest.xfail("after it has sent")


@pytest.fixture
def breaks_at_the_end():
    yield
    raise RuntimeError("too late for the set-up, too early for the others")


def test_breaks(around, breaks):
    delta.ask()


def test_skips(around, skips):
    delta.ask()


def test_skips_and_breaks_at_the_end(around, breaks_at_the_end, skips):
    delta.ask()


def test_fails_as_expected(around, fails_as_expected):
    delta.ask()


@pytest.mark.xfail(reason="its set-up breaks")
def test_breaks_as_expected(around, breaks):
    delta.ask()


@pytest.mark.skip(reason="by mark")
def test_skipped_by_mark(around):
    delta.ask()


@pytest.mark.skipif("True", reason="by mark")
class TestSkippedByMark:
    def test_method(self, around):
        delta.ask()


@pytest.mark.xfail(run=False, reason="by mark")
def test_not_run(around):
    delta.ask()


@unittest.skip("by decorator")
class SkippedByDecorator(unittest.TestCase):
    def test_method(self):
        delta.ask()


@pytest.mark.usefixtures("nobody_has_it")
def test_lacks_a_fixture(around):
    delta.ask()
