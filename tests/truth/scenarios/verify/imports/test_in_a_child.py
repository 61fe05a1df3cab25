import subprocess
import sys

subprocess.run([sys.executable, "-c", "from peers import alpha; alpha.ask()"], check=True)


def test_it():
    pass
