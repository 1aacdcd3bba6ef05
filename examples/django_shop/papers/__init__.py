"""The application: products, a cart in the session, and the admin."""
