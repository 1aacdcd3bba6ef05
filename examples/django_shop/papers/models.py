"""What the shop has to sell."""

from django.db import models


class Product(models.Model):
    """Something to buy."""

    key = models.SlugField(unique=True)
    name = models.CharField(max_length=60)
    about = models.CharField(max_length=200)
    cents = models.PositiveIntegerField()

    class Meta:
        """As they stand in the shop."""

        ordering = ("pk",)

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    @property
    def price(self) -> str:
        """The price, as a visitor reads it."""
        return euros(self.cents)


def euros(cents: int) -> str:
    """Return an amount, as a visitor reads it."""
    return f"€{cents // 100}.{cents % 100:02}"
