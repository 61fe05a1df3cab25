import os
import subprocess

from peers import alpha, beta, gamma

TALK = "exec 3<>/dev/tcp/%s/%d; printf ask >&3; read -r -N 3 answer <&3; test $answer = ask"
PROGRAM = """
for ((i = 1; i <= 1000; i++)); do
  (:)
done
for ((i = 1; i <= 200; i++)); do
  if ((i % 10)); then /bin/true; else (TALK) || exit 1; fi
done
"""


def test_programs():
    subprocess.run(["bash", "-c", PROGRAM.replace("TALK", TALK % alpha.address)], check=True)


def test_forks():
    for number in range(1, 101):
        pid = os.fork()
        if pid == 0:
            try:
                if number % 5 == 0:
                    beta.ask()
            finally:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def test_after_them():
    gamma.ask()
