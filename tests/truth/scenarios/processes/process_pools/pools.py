import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from peers import alpha, ask

kept = []


def new_pool():
    """A pool of one worker, which it starts with its first task."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("fork"))


def connect():
    kept.append(alpha.connect())


def ask_on_kept():
    """In the worker: ask on a connection that is opened once."""
    if not kept:
        connect()
    return ask(kept[0])
