"""Base classes for tests of the shop and of its extensions."""

import unittest
from functools import cached_property

from shop import database


class DatabaseTestCase(unittest.TestCase):
    """Gives tests a connection, opened when it is first used, whose changes are rolled back."""

    @cached_property
    def connection(self):
        connection = database.connect()
        self.addCleanup(connection.close)
        return connection
