"""Prices. Amounts are whole cents."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal


def cents(amount):
    """The cents of an amount in euros, halves rounded up: `"0.005"` is 1."""
    return int((Decimal(amount) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def discounted(price, percent):
    if not 0 <= percent <= 100:
        raise ValueError(f"a discount of {percent} %")
    return cents(Decimal(price) / 100 * (100 - percent) / 100)


@dataclass
class Basket:
    lines: list[tuple[str, int, int]] = field(default_factory=list)  # name, cents, quantity

    def add(self, name, price, quantity=1):
        self.lines.append((name, price, quantity))

    @property
    def total(self):
        return sum(price * quantity for _, price, quantity in self.lines)
