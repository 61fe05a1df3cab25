import subprocess
import sys

from peers import beta, gamma

TALK = "exec 3<>/dev/tcp/%s/%d; printf ask >&3; read -r -N 3 answer <&3; test $answer = ask"


def python(program, *arguments, **options):
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, **options)


def test_both_send():
    python(
        "import os, sys; from peers import alpha; alpha.ask(); os.execvp('bash', ['bash', '-c', sys.argv[1]])",
        TALK % beta.address,
    )


def test_then_is_silent():
    subprocess.run(["bash", "-c", TALK % gamma.address + "; exec true"], check=True)
