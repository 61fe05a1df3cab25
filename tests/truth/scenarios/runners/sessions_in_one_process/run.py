import sys

import pytest
from peers import delta, gamma

gamma.ask()
for _ in range(2):
    status = pytest.main(sys.argv[1:])
    delta.ask()
sys.exit(status)
