from concurrent.futures import ThreadPoolExecutor

from settled import settle

worker = ThreadPoolExecutor(1)


def select(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_pooled(connection):
    select(connection)


def test_pooled_but_unused(pool):
    pass


def test_own(own_connection):
    select(own_connection)


def test_second_of_the_pool(pool, connection):
    second = pool.getconn()
    select(second)
    pool.putconn(second)


def test_in_a_global_worker(connection):
    settle()
    worker.submit(select, connection).result()


def test_in_that_worker_unrequested(pytestconfig):
    connection = pytestconfig.pool.getconn()
    settle()
    worker.submit(select, connection).result()
    select(connection)
    pytestconfig.pool.putconn(connection)
