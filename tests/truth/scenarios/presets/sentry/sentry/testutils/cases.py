import pytest
from django import test

from sentry import snuba


class BaseTestCase:
    """What all share: no test, and no database of its own."""


class TestCase(BaseTestCase, test.TestCase):
    pass


class TransactionTestCase(BaseTestCase, test.TransactionTestCase):
    pass


class APITestCase(TestCase):
    pass


class SnubaTestCase(BaseTestCase):
    @pytest.fixture(autouse=True)
    def initialize(self, reset_snuba):
        pass


class OutcomesSnubaTest(TestCase):
    """Needs Snuba without the fixture."""

    def setUp(self):
        super().setUp()
        snuba.post("/tests/outcomes/drop")
