"""The products in the admin."""

from django.contrib import admin

from papers.models import Product


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    """Products, with their prices in the list."""

    list_display = ("name", "price")
    prepopulated_fields = {"key": ("name",)}  # noqa: RUF012  # as Django declares it
