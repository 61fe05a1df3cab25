import os
import signal

from peers import alpha, beta, gamma


def test_it():
    alpha.ask()
    parent = os.getpid()
    read, write = os.pipe()
    if os.fork():
        os.close(read)
        signal.pause()
    os.close(write)
    beta.ask()
    os.kill(parent, signal.SIGKILL)
    os.read(read, 1)  # nothing, once the parent has let go of its end
    gamma.ask()
    with open("gone", "w"):  # what the command waits for
        pass
    os._exit(0)
