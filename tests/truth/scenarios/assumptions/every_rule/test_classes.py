import unittest


class Needs:
    pass


class Between(Needs):
    pass


class Other:
    pass


class TestDeep(Other, Between):
    def test_it(self):
        pass


class TestAround(Needs):
    def test_it(self):
        pass

    class TestWithin:
        """Of no kin to the class around it."""

        def test_it(self):
            pass


class Unit(Between, unittest.TestCase):
    def test_it(self):
        pass


class Asynchronous(unittest.IsolatedAsyncioTestCase, Needs):
    async def test_it(self):
        pass


class TestNot(Other):
    def test_it(self):
        pass


TestCopy = type("TestCopy", (TestDeep,), {"__module__": "elsewhere"})


def test_function():
    assert Needs
