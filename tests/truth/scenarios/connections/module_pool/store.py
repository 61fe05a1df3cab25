"""The application: a pool that is filled on demand."""

from peers import alpha, ask

_IDLE = []


def query(count=1):
    taken = [_IDLE.pop() if _IDLE else alpha.connect() for _ in range(count)]
    for sock in taken:
        ask(sock)
    _IDLE.extend(taken)
