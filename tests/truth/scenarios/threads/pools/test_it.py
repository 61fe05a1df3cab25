from peers import alpha
from workers import Pool

ours = Pool(alpha, 2)


def test_own():
    with Pool(alpha, 2) as pool:
        pool.ask(threads=2)


def test_warm(warm_pool):
    warm_pool.ask()


def test_warm_again(warm_pool):
    warm_pool.ask()


def test_not_requested_but_used(pytestconfig):
    pytestconfig.warm_pool.ask()


def test_lazy(lazy_pool):
    lazy_pool.ask()


def test_lazy_has_another_thread(lazy_pool):
    lazy_pool.ask(threads=2)


def test_lazy_has_them_all(lazy_pool):
    lazy_pool.ask(threads=2)


def test_global():
    ours.ask()


def test_global_has_another_thread():
    ours.ask(threads=2)
