import unittest

import pytest
from peers import alpha, beta, gamma


def test_all_pass(subtests):
    for peer in (alpha, beta):
        with subtests.test():
            peer.ask()


def test_one_fails(subtests):
    with subtests.test("fails"):
        alpha.ask()
        raise RuntimeError("after it has sent")
    with subtests.test("passes"):
        beta.ask()
    gamma.ask()


def test_one_skips(subtests):
    with subtests.test("skips"):
        alpha.ask()
        pytest.skip("after it has sent")
    beta.ask()


def test_one_fails_as_expected(subtests):
    with subtests.test("fails as expected"):
        alpha.ask()
        pytest.xfail("after it has sent")
    beta.ask()


def test_fails_itself(subtests):
    with subtests.test("passes"):
        alpha.ask()
    raise RuntimeError("outside of all subtests")


class Case(unittest.TestCase):
    def test_all_pass(self):
        for peer in (alpha, beta):
            with self.subTest():
                peer.ask()

    def test_one_fails(self):
        for peer in (alpha, beta):
            with self.subTest():
                peer.ask()
                self.assertIs(peer, beta)
        gamma.ask()

    def test_one_skips(self):
        with self.subTest():
            alpha.ask()
            self.skipTest("after it has sent")
        beta.ask()
