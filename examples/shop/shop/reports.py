"""Reports for the back office; `python -m shop.reports` prints one."""

from shop import database


def low_stock(connection, limit):
    """The SKUs of which at most `limit` are left, fewest first."""
    return [sku for (sku,) in connection.execute("SELECT sku FROM products WHERE stock <= %s ORDER BY stock", (limit,))]


def main():
    with database.connect_locally() as connection:
        print(*low_stock(connection, 5), sep="\n")


if __name__ == "__main__":
    main()
