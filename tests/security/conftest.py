"""What the tests of security share: every adapter, over WSGI and ASGI."""

import sides
import stores

store = stores.store
side = sides.side
