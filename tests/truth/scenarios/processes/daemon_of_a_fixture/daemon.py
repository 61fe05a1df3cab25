import os
import socket

import peers


class Daemon:
    """A process of its own session. It listens, and asks each peer that it is told to on a connection it keeps."""

    def __init__(self, listens_at):
        orders, self.orders = os.pipe()
        self.answers, answers = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.close(self.orders)
            os.close(self.answers)
            try:
                serve(orders, answers, listens_at)
            finally:
                os._exit(0)
        os.close(orders)
        os.close(answers)
        os.waitpid(pid, 0)

    def ask(self, peer):
        os.write(self.orders, peer.encode().ljust(8))
        assert os.read(self.answers, 1)

    def stop(self):
        os.close(self.orders)
        assert os.read(self.answers, 1) == b""  # it is gone
        os.close(self.answers)


def serve(orders, answers, listens_at):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(listens_at)
    listener.listen()
    connections = {}
    while peer := os.read(orders, 8).decode().strip():
        if peer not in connections:
            connections[peer] = getattr(peers, peer).connect()
        peers.ask(connections[peer])
        os.write(answers, b".")
