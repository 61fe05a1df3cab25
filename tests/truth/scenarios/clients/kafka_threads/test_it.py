from clients import CLIENTS  # noqa: F401 - for the tests
from matrix import *  # noqa: F403 - the tests
