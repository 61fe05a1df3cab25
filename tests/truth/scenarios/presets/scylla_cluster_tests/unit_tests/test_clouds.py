import os

import pytest
from peers import Peer

pytestmark = pytest.mark.integration


def test_instances():
    Peer("443").ask()


@pytest.mark.skipif("OCI_CONFIG_FILE" not in os.environ, reason="OCI credentials not configured")
def test_oci_instances():
    Peer("443").ask()


def test_buckets():
    """On mocks alone, as moto's."""


def test_operator(k8s_cluster):
    k8s_cluster.ask()
