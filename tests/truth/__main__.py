"""`python -m truth`: makes the virtual environments of all scenarios, so that they can run without a network."""

from truth.runs import python_of
from truth.scenario import load
from truth.test_truth import DIRECTORIES

for directory in DIRECTORIES:
    python_of(load(directory))
