import pytest

pytestmark = pytest.mark.integration


@pytest.mark.docker_scylla_args(ssl=True)
def test_query(docker_scylla):
    docker_scylla.cql_connection()


def test_vector_search(docker_scylla, docker_vector_store):
    docker_scylla.cql_connection(published=False)
    docker_vector_store.ask()


def test_asks_nothing(docker_scylla):
    """Starts Scylla and never connects to it."""
