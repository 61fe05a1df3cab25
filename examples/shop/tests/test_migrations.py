"""The tests are made from rows of the database, which the import of this file queries."""

import re

import pytest
from shop import database

MIGRATIONS = database.migrations()


@pytest.mark.parametrize("name", MIGRATIONS)
def test_name(name):
    assert re.fullmatch(r"\d{4}_[a-z]+", name)


def test_numbers_are_unique():
    assert len({name[:4] for name in MIGRATIONS}) == len(MIGRATIONS)
