"""Answers with what it hears: `python server.py` prints its port; with an argument a child of its own does it."""

import os
import socket
import sys

with socket.socket() as listener:
    if sys.argv[1:] and os.fork():
        os._exit(0)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    while True:
        client = listener.accept()[0]
        with client:
            data = client.recv(100)
            if data == b"end":
                break
            client.sendall(data)
