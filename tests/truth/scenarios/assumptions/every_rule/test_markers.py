import unittest

import pytest


@pytest.mark.slow
def test_its_own():
    pass


@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_of_a_parameter(n):
    pass


def test_by_a_hook():
    pass


@pytest.mark.slow
class Base:
    pass


class TestOfABase(Base):
    def test_it(self):
        pass


class Unit(Base, unittest.TestCase):
    def test_it(self):
        pass


class UnitWithOne(unittest.TestCase):
    @pytest.mark.slow
    def test_it(self):
        pass

    def test_other(self):
        pass
