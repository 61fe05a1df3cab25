import pytest
from peers import Peer
from sentry.models import Group
from sentry.silo import SiloMode
from sentry.testutils.cases import TestCase
from sentry.testutils.silo import all_silo_test


def lookup(silo_mode):
    """A region caches what it was told by control."""
    if silo_mode is SiloMode.REGION:
        Peer("7000").ask()


@all_silo_test
class RpcTest(TestCase):
    def test_lookup(self):
        lookup(self.silo_mode)

    def test_round_trip(self):
        assert Group.objects.count() == 0


@all_silo_test
def test_lookup(silo_mode):
    lookup(silo_mode)


@pytest.mark.parametrize("region", ["us", "de"])
@all_silo_test
def test_name(silo_mode, region):
    assert region != silo_mode.value
