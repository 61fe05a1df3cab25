import atexit
import os
import signal

from peers import delta


@atexit.register
def leave():
    delta.ask()
    os.kill(os.getpid(), signal.SIGKILL)
