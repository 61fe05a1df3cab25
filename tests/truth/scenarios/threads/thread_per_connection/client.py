from queue import SimpleQueue
from threading import Thread

from peers import ask


class Client:
    """As many clients are: a connection, and a thread that does its talking."""

    def __init__(self, peer):
        self.sock = peer.connect()
        self.questions, self.answers = SimpleQueue(), SimpleQueue()
        self.thread = Thread(target=self.talk, daemon=True)
        self.thread.start()

    def talk(self):
        while self.questions.get():
            self.answers.put(ask(self.sock))

    def ask(self):
        self.questions.put(True)
        assert self.answers.get(timeout=30)

    def close(self):
        self.questions.put(False)
        self.thread.join()
        self.sock.close()
