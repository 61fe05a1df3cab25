import unittest

from peers import alpha, beta


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        alpha.ask()

    def test_it(self):
        beta.ask()
