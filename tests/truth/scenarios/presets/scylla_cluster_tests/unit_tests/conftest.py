import struct

import pytest
from peers import Peer

STARTUP = struct.pack(">BBhBi", 4, 0, 0, 1, 22) + struct.pack(">hh11sh5s", 1, 11, b"CQL_VERSION", 5, b"3.0.0")


class Container:
    """Scylla, as it is on Docker's network, and as its CQL port is published on a free port of the host."""

    def cql_connection(self, published=True):
        return Peer("49153" if published else "9042").ask(STARTUP)


@pytest.fixture
def docker_scylla():
    Peer("docker.sock").ask()
    yield Container()
    Peer("docker.sock").ask()


@pytest.fixture
def docker_vector_store(docker_scylla):
    Peer("docker.sock").ask()
    return Peer("6080")


@pytest.fixture
def k8s_cluster():
    return Peer("6443")
