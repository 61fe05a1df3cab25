from shop import catalogue
from shop.catalogue import Product
from shop.testing import DatabaseTestCase

CUP = Product("cup", "Cup & saucer", 1290, 12)


class CatalogueTestCase(DatabaseTestCase):
    def test_find(self):
        CUP.save(self.connection)
        assert catalogue.find(self.connection, "cup") == CUP

    def test_unknown(self):
        assert catalogue.find(self.connection, "car") is None


class ProductTestCase(DatabaseTestCase):
    """Inherits the database, as every test case here does, but never uses it."""

    def test_label(self):
        assert CUP.label == "Cup & saucer (12.90 €)"

    def test_slug(self):
        assert CUP.slug == "cup-saucer"
