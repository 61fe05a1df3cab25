import subprocess
import sys

from peers import alpha


def in_another_network(name):
    subprocess.run(["unshare", "--net", sys.executable, "network.py", name], check=True)


def test_same_address():
    in_another_network("alpha")
    alpha.ask()


def test_only_there():
    in_another_network("beta")


def test_only_here():
    alpha.ask()
