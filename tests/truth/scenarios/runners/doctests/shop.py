"""A module with examples.

>>> alpha.ask()
b'ask'
"""

from peers import alpha, beta, gamma  # noqa: F401 - the examples use them

gamma.ask()


def order():
    """Order something.

    >>> order()
    b'ask'
    """
    return beta.ask()


def fails():
    """Do something else.

    >>> beta.ask()
    b'something else'
    """
