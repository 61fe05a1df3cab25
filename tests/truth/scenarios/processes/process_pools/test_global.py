from peers import beta
from pools import ask_on_kept, new_pool
from settled import settle

pool = new_pool()


def test_first():
    settle()
    pool.submit(ask_on_kept).result()


def test_same_connection():
    settle()
    pool.submit(ask_on_kept).result()


def test_new_connection():
    settle()
    pool.submit(beta.ask).result()
