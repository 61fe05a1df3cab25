import multiprocessing

from peers import alpha, beta, gamma


def run(context, function):
    process = multiprocessing.get_context(context).Process(target=function)
    process.start()
    process.join()
    assert process.exitcode == 0


def test_fork():
    run("fork", alpha.ask)


def test_spawn():
    run("spawn", beta.ask)


def test_pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(gamma.ask, [b"one", b"two", b"six", b"ten"]) == [b"one", b"two", b"six", b"ten"]
