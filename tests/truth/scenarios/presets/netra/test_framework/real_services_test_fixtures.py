import pytest
from peers import Peer

from test_framework.test_config import LLM_PORT, TEST_PORTS


def client(port):
    return Peer(str(port))


@pytest.fixture
def real_db_fixture():
    db = client(TEST_PORTS["postgresql"])
    db.ask()
    return db


@pytest.fixture
def real_redis_fixture():
    return client(TEST_PORTS["redis"])


@pytest.fixture
def real_services_fixture(real_db_fixture, real_redis_fixture):
    return {"db": real_db_fixture, "redis": real_redis_fixture}


@pytest.fixture
def real_llm_fixture():
    return client(LLM_PORT)
