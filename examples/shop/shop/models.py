"""What customers do."""

from dataclasses import dataclass

from shop import events


@dataclass
class Order:
    customer: str
    cents: int
    id: int | None = None

    def save(self, connection):
        """Store the order, and publish an event."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO orders (customer, cents) VALUES (%s, %s) RETURNING id", (self.customer, self.cents)
            )
            (self.id,) = cursor.fetchone()
        connection.commit()
        events.publish("orders", {"event": "saved", "order": self.id, "cents": self.cents})


def orders_of(connection, customer):
    with connection.cursor() as cursor:
        cursor.execute("SELECT customer, cents, id FROM orders WHERE customer = %s ORDER BY id", (customer,))
        return [Order(*row) for row in cursor.fetchall()]


def checkout(connection, customer, basket):
    if not basket.lines:
        raise ValueError("an empty basket")
    order = Order(customer, basket.total)
    order.save(connection)
    return order
