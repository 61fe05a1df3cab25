import pytest
from peers import Peer
from sentry.testutils.cases import TransactionTestCase


@pytest.mark.usefixtures("requires_symbolicator")
class SymbolicatorTest(TransactionTestCase):
    def test_minidump(self):
        Peer("3021").ask()

    def test_unreal(self):
        """That it asks for Symbolicator is seen by the guard alone, in the first test."""
