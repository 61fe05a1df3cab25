from peers import beta, gamma


def test_before():
    beta.ask()


def test_interrupts():
    gamma.ask()
    raise KeyboardInterrupt


def test_after():
    beta.ask()
