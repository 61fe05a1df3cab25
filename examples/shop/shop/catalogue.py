"""The products on sale."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    cents: int
    stock: int

    @property
    def label(self):
        return f"{self.name} ({self.cents / 100:.2f} €)"

    @property
    def slug(self):
        return "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())

    def save(self, connection):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO products VALUES (%s, %s, %s, %s)", (self.sku, self.name, self.cents, self.stock)
            )


def find(connection, sku):
    with connection.cursor() as cursor:
        cursor.execute("SELECT sku, name, cents, stock FROM products WHERE sku = %s", (sku,))
        row = cursor.fetchone()
    return row and Product(*row)
