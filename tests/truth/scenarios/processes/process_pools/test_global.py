from peers import beta
from pools import ask_on_kept, new_pool

pool = new_pool()


def test_first():
    pool.submit(ask_on_kept).result()


def test_same_connection():
    pool.submit(ask_on_kept).result()


def test_new_connection():
    pool.submit(beta.ask).result()
