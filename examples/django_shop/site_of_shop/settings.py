"""The settings. Two lines make the sessions, and another store is another word in the second one."""

import os
import secrets
from pathlib import Path

FOLDER = Path(os.environ.get("SHOP_FOLDER", Path(__file__).resolve().parents[1]))
"""Where the database is."""

SESSION_ENGINE = "sessionbag_django"
SESSIONBAG = {"adapter": os.environ.get("SESSIONBAG_URL", "stream")}

SESSION_COOKIE_AGE = 7 * 24 * 3600
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",  # the command clearsessions
    "django.contrib.staticfiles",
    "sessionbag_django",  # the system checks
    "papers",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "papers.views.cart_of_visitor",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROOT_URLCONF = "site_of_shop.urls"
WSGI_APPLICATION = "site_of_shop.wsgi.application"
ASGI_APPLICATION = "site_of_shop.asgi.application"
STATIC_URL = "static/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
USE_TZ = True

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
SECRET_KEY = os.environ.get("SHOP_SECRET_KEY") or secrets.token_urlsafe()
"""A real shop keeps its key: with this one, whoever is logged in is logged out when the server starts again."""

PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
