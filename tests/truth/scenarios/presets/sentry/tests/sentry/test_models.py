import unittest

from django.test import SimpleTestCase
from sentry.models import Group
from sentry.testutils.cases import TestCase, TransactionTestCase
from sentry.testutils.fixtures import django_db_all


class GroupTest(TestCase):
    def test_is_stored(self):
        Group.objects.create(message="first")
        assert Group.objects.count() == 1


class GroupCommitTest(TransactionTestCase):
    def test_is_stored(self):
        Group.objects.create(message="committed")


class MessageTest(SimpleTestCase):
    def test_is_shown(self):
        assert Group(message="shown").message == "shown"


class PlainTest(unittest.TestCase):
    def test_is_shown(self):
        assert Group(message="shown").message == "shown"


@django_db_all
def test_marked():
    assert Group.objects.count() == 0


def test_fixture(db):
    assert Group.objects.count() == 0


def test_neither():
    pass
