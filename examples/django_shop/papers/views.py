"""The pages: plain Django, as it would be with any other session engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from papers.models import Product, euros

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

MOST: Final = 99
"""Pieces of one product in a cart."""


@never_cache
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the products, and count the visit."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return render(request, "papers/home.html", {"products": Product.objects.all(), "visits": request.session["visits"]})


@never_cache
@require_GET
def show_cart(request: HttpRequest) -> HttpResponse:
    """Show what is in the cart."""
    cart = request.session.get("cart", {})
    lines = [(product, cart[product.key]) for product in Product.objects.all() if cart.get(product.key)]
    total = euros(sum(product.cents * quantity for product, quantity in lines))
    return render(request, "papers/cart.html", {"lines": lines, "total": total})


@require_POST
def change_cart(request: HttpRequest) -> HttpResponse:
    """Add a piece of a product, or take one away."""
    product = get_object_or_404(Product, key=request.POST.get("product", ""))
    by = -1 if request.POST.get("by") == "-1" else 1
    cart = request.session.setdefault("cart", {})
    cart[product.key] = min(max(cart.get(product.key, 0) + by, 0), MOST)
    request.session.modified = True
    messages.success(request, f"{product.name}: {cart[product.key]} in your cart.")
    return redirect("cart")


@never_cache
@require_GET
def show_session(request: HttpRequest) -> HttpResponse:
    """Show a visitor what the session knows."""
    visits = request.session.get("visits", 0)
    return render(request, "papers/session.html", {"visits": visits, "ends": request.session.get_expiry_date()})


def cart_of_visitor(request: HttpRequest) -> dict[str, int]:
    """Give every page the number of pieces in the cart."""
    return {"pieces": sum(request.session.get("cart", {}).values())}
