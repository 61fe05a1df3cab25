import subprocess
import sys

from peers import alpha


def test_it():
    alpha.ask()


def test_with_a_child():
    subprocess.run([sys.executable, "-c", "import peers; peers.beta.ask()"], check=True)
