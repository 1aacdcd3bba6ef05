"""What the tests of security share: every adapter, over WSGI and ASGI."""

import sides
import stores

store, nothing_strays = stores.store, stores.nothing_strays
redis_server, memcached_server = stores.redis_server, stores.memcached_server
side = sides.side
