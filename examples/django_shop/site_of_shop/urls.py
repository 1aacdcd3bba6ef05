"""The addresses."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from papers import views

urlpatterns = [
    path("", views.home, name="home"),
    path("cart", views.show_cart, name="cart"),
    path("cart/change", views.change_cart, name="change"),
    path("session", views.show_session, name="session"),
    path("login", LoginView.as_view(template_name="papers/login.html"), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
