from peers import gamma
from pids import in_a_child


def test_child_with_a_runners_pid():
    in_a_child(gamma.ask)
