"""Web sessions on the server."""
