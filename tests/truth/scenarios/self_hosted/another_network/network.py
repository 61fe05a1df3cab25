"""Listens on an address in this network, and asks there."""

import socket
import subprocess
import sys
from threading import Thread

from peers import Peer

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
peer = Peer(sys.argv[1])
with socket.socket() as listener:
    listener.bind(peer.address)
    listener.listen()

    def answer():
        with listener.accept()[0] as client:
            client.sendall(client.recv(3))

    thread = Thread(target=answer)
    thread.start()
    peer.ask()
    thread.join()
