from daemon import Daemon

daemon = Daemon()
daemon.ask("alpha")


def test_first():
    daemon.ask("alpha")


def test_second():
    pass
