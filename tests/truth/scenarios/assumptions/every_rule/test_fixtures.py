import unittest

import pytest


def test_through_another(outer):
    pass


@pytest.mark.usefixtures("outer")
def test_by_name():
    pass


def test_at_run_time(request):
    """Nobody can know before."""
    request.getfixturevalue("inner")


def test_without():
    pass


class TestAutouse:
    @pytest.fixture(autouse=True)
    def each(self, outer):
        pass

    def test_it(self):
        pass


class TestOverridden:
    @pytest.fixture
    def outer(self):
        pass

    def test_it(self, outer):
        pass


@pytest.mark.usefixtures("inner")
class Unit(unittest.TestCase):
    def test_it(self):
        pass


class AutouseBase:
    @pytest.fixture(autouse=True)
    def each(self, inner):
        pass


class UnitBelow(AutouseBase, unittest.TestCase):
    def test_it(self):
        pass
