import pytest
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from peers import alpha, beta, gamma, udp
from shop.models import Order


class WithData(TestCase):
    @classmethod
    def setUpTestData(cls):
        alpha.ask()
        cls.order = Order.objects.create(text="first")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        beta.ask()

    def setUp(self):
        gamma.ask()

    def test_reads(self):
        self.assertEqual(Order.objects.get(), self.order)

    def test_does_not(self):
        pass


class WithoutTransaction(TransactionTestCase):
    def test_it(self):
        Order.objects.create(text="second")


class WithoutDatabase(SimpleTestCase):
    def test_it(self):
        udp.ask()


def test_with_fixture(db):
    assert not Order.objects.exists()


@pytest.mark.django_db
def test_with_mark():
    pass


def test_without():
    udp.ask()
