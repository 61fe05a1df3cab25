import os

import pytest
from psycopg_pool import ConnectionPool


@pytest.fixture(scope="session")
def pool(pytestconfig):
    with ConnectionPool(os.environ["SHOP_POSTGRES_DSN"], min_size=1, max_size=1, num_workers=1) as pool:
        pool.wait(30)
        pytestconfig.pool = pool
        yield pool
