"""The TLS context that the options ask for."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from sessionbag.errors import ConfigurationError

if TYPE_CHECKING:
    from sessionbag_memcached._options import MemcachedOptions


def context_of(options: MemcachedOptions) -> ssl.SSLContext:
    """Return a context that checks the server's certificate and name.

    Raises `ConfigurationError` when a file is missing or no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
        if options.tls_cert is not None:
            context.load_cert_chain(options.tls_cert, options.tls_key)
    except OSError as error:  # also what is no certificate
        raise ConfigurationError(
            f"{options.OWNER} cannot use the files for TLS: {error}. Check tls_ca, tls_cert and tls_key"
        ) from error
    return context
