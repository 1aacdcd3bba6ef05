"""Options and URLs: what they mean, which go together, and that none of them shows a password."""

import pytest
from redis_servers import PASSWORD, USER
from sessionbag import AdapterFactory, AsyncAdapterFactory
from sessionbag.errors import ConfigurationError
from sessionbag_redis import AsyncRedis, Redis, RedisOptions

SECRET = "hunter2"


def refusal(call, *arguments, **named):
    """Return the message of a `ConfigurationError`, and check that it shows no password."""
    with pytest.raises(ConfigurationError) as caught:
        call(*arguments, **named)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://", {}),
        ("redis://db.example:7000/3", {"host": "db.example", "port": 7000, "index": 3}),
        ("redis://ann:s%2Fe%3Fc@db.example", {"host": "db.example", "username": "ann", "auth": "s/e?c"}),
        ("redis://:pw@[::1]:7000", {"host": "::1", "port": 7000, "auth": "pw"}),
        (
            "rediss://db.example/1?tls_ca_file=/ca.pem",
            {"host": "db.example", "index": 1, "tls": True, "tls_ca_file": "/ca.pem"},
        ),
        ("unix:///run/redis.sock?index=2", {"socket": "/run/redis.sock", "index": 2}),
        ("unix://ann:pw@/run/redis.sock", {"socket": "/run/redis.sock", "username": "ann", "auth": "pw"}),
        (
            "redis+sentinel://:pw@one:7001,two/sessions/4?sentinel_auth=other",
            {
                "sentinels": ("one:7001", "two:26379"),
                "service_name": "sessions",
                "index": 4,
                "auth": "pw",
                "sentinel_auth": "other",
            },
        ),
        ("redis+cluster://one:7001,[::1]:7002", {"cluster": True, "nodes": ("one:7001", "[::1]:7002")}),
        (
            "redis://h?timeout=2&max_connections=5&lifetime=60",
            {"host": "h", "timeout": 2, "max_connections": 5, "lifetime": 60},
        ),
    ],
)
def test_a_url_holds_options(url, options):
    """As the URL of a configuration, and as the option ``url``."""
    from_url, from_option = RedisOptions.from_url(url), RedisOptions(url=url)

    assert from_url == RedisOptions(**options)
    assert {name: getattr(from_option, name) for name in options} == options


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "redis+sentinel", "redis+cluster"])
def test_each_scheme_is_a_name_of_the_adapter(scheme):
    """Blocking and awaited."""
    assert AdapterFactory().get_class(scheme) is Redis
    assert AsyncAdapterFactory().get_class(scheme) is AsyncRedis


def test_the_password_of_a_url_is_used(guarded_redis, make, key):
    """With its escapes undone."""
    escaped = "".join(f"%{byte:02X}" for byte in PASSWORD.encode())
    handler = make(url=f"redis://{USER}:{escaped}@127.0.0.1:{guarded_redis.port}")

    assert handler.read(key) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"socket": "/s", "host": "h"}, "is given socket and host. Give one of them"),
        ({"socket": "/s", "tls": True}, "A socket is not encrypted"),
        ({"socket": "/s", "cluster": True}, "is given socket and cluster. Give one of them"),
        ({"sentinels": ["h"], "service_name": "s", "host": "h"}, "is given sentinels and host"),
        ({"sentinels": ["h"]}, "needs sentinels and service_name together"),
        ({"service_name": "s"}, "needs sentinels and service_name together"),
        ({"nodes": ["h"]}, "Give cluster=True"),
        ({"cluster": True, "nodes": ["h"], "port": 1}, "is given nodes and port"),
        ({"cluster": True, "index": 1}, "a cluster has 0 alone"),
        ({"port": 0}, "give a number from 1 to 65535"),
        ({"port": "6379"}, "must be int, not '6379' (str)"),
        ({"index": -1}, "give 0 or more"),
        ({"timeout": 0}, "give a number of seconds above 0"),
        ({"max_connections": 0}, "give a number of at least 1"),
        ({"sentinels": ["h:x"], "service_name": "s"}, "give host:port"),
        ({"sentinels": [], "service_name": "s"}, "name at least one"),
        ({"url": "redis://h", "host": "other"}, "'host' of the adapter 'redis' differs from that in url"),
        ({"url": f"redis://:{SECRET}@h", "auth": "other"}, "'auth' of the adapter 'redis' differs from that in url"),
        ({"url": "redis://h?url=redis://i"}, "holds another URL"),
        ({"url": "memcached://h"}, "is none of Redis. Begin it with redis://"),
        ({"client": object(), "port": 1, "auth": SECRET}, "which knows how to connect. Leave out: auth, port"),
        ({"pasword": SECRET}, "has no option 'pasword'"),
        ({"auth": 5}, "'auth' of the adapter 'redis' must be"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, words):
    """With the mend, when the configuration is loaded."""
    assert words in refusal(RedisOptions.from_mapping, options)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://ann:{SECRET}@h/x",
        f"redis://ann:{SECRET}@one,two/0",
        f"redis://ann:{SECRET}@h:port",
        f"redis://ann:{SECRET}@h#0",
        f"unix://ann:{SECRET}@host/path",
        f"redis+sentinel://ann:{SECRET}@/service",
        f"redis+cluster://ann:{SECRET}@h/1",
        f"redis://ann:{SECRET}@h?auth={SECRET}",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url):
    """And its password is not shown."""
    assert "the URL redis" in refusal(RedisOptions.from_url, url) or url.startswith("unix")


def test_no_representation_shows_a_password():
    """Neither that of the options, nor that of the adapters."""
    options = RedisOptions(url=f"redis://ann:{SECRET}@h", sentinel_auth=SECRET, tls_key_password=SECRET)

    for shown in (options, Redis(options), AsyncRedis(options)):
        assert SECRET not in repr(shown)
        assert "'h'" in repr(shown)


@pytest.mark.parametrize("adapter", [Redis, AsyncRedis])
def test_an_adapter_takes_its_own_options_only(adapter):
    """Another object is refused when it is made, and none at all means the defaults."""
    assert "takes an instance of its Options, not of dict" in refusal(adapter, {"port": 1})
    assert adapter().options.port == 6379
