from peers import udp


def test_first():
    udp.ask()


def test_second():
    pass
