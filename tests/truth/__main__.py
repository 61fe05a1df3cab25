"""`python -m truth`: make all environments that scenarios ask for, to run them later where there is no network."""

from truth.runs import python_of
from truth.scenario import load
from truth.test_truth import FOLDERS

for folder in FOLDERS:
    python_of(load(folder))
