import unittest


def test_function():
    """>>> two = 1 + 1"""


class Unit(unittest.TestCase):
    def test_it(self):
        pass
