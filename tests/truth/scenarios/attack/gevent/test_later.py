import patches  # noqa: F401
from cases import *  # noqa: F403
