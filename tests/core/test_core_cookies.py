"""The session's cookie: what is refused, what is written, what is read."""

from datetime import timedelta
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessionbag import ConfigurationError, InvalidSessionId
from sessionbag.cookies import CookiePolicy, SessionCookie

ID = "0123456789abcdef" * 4


def attributes(header):
    """Return the attributes of a Set-Cookie value, in lower case, without the cookie itself."""
    return {part.strip().partition("=")[0].lower(): part.strip().partition("=")[2] for part in header.split(";")[1:]}


def cookie(name="session", **options):
    return CookiePolicy(**options).bind(name)


def test_defaults_are_safe():
    """Requirement 8: HttpOnly and SameSite=Lax unless chosen otherwise, until the browser closes."""
    assert cookie().set(ID, secure=False) == f"session={ID}; Path=/; HttpOnly; SameSite=Lax"


def test_cookie_is_secure_on_https():
    """Requirement 8: Secure follows the request's scheme when the policy leaves it open."""
    bound = cookie()

    assert "secure" in attributes(bound.set(ID, secure=True))
    assert "secure" not in attributes(bound.set(ID, secure=False))
    assert bound.follows_scheme


@pytest.mark.parametrize("secure", [True, False])
def test_secure_can_be_decided_once_for_all(secure):
    """Requirement 8: behind a proxy the policy says what the request cannot."""
    bound = cookie(secure=secure)

    assert [("secure" in attributes(bound.set(ID, secure=scheme))) for scheme in (True, False)] == [secure, secure]
    assert not bound.follows_scheme


def test_every_option_is_written():
    """Each attribute that the policy names stands in the header."""
    bound = cookie(
        domain="example.com", path="/shop", secure=True, samesite="None", partitioned=True, max_age=timedelta(days=1)
    )

    assert attributes(bound.set(ID, secure=False)) == {
        "domain": "example.com",
        "path": "/shop",
        "max-age": "86400",
        "secure": "",
        "httponly": "",
        "samesite": "None",
        "partitioned": "",
    }


def test_httponly_can_be_switched_off():
    """A cookie that scripts may read is possible, but has to be asked for."""
    assert "httponly" not in attributes(cookie(httponly=False).set(ID, secure=True))


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"domain": "example.com", "path": "/shop", "max_age": 60, "httponly": False, "samesite": "Strict"},
        {"secure": True, "samesite": "None", "partitioned": True},
    ],
)
def test_cookie_expires_with_the_attributes_it_was_set_with(options, secure):
    """Requirement 7: a browser only drops a cookie that is expired with the same attributes."""
    bound = cookie(**options)
    kept, expired = attributes(bound.set(ID, secure=secure)), attributes(bound.expire(secure=secure))

    assert expired.pop("max-age") == "0"
    assert expired.pop("expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert expired == {name: value for name, value in kept.items() if name != "max-age"}
    assert bound.expire(secure=secure).startswith("session=;")


@pytest.mark.parametrize("given", ["lax", "LAX", "Lax"])
def test_samesite_is_taken_in_any_case(given):
    """People write it in all ways; browsers compare it without regard to case."""
    assert CookiePolicy(samesite=given).samesite == "Lax"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"samesite": "none"}, "samesite='None' needs the attribute Secure"),
        ({"samesite": "None", "secure": False}, "Give secure=True"),
        ({"partitioned": True}, "partitioned=True needs the attribute Secure"),
        ({"samesite": "sometimes"}, "give 'Lax', 'Strict' or 'None'"),
        ({"samesite": None}, "must be str"),
        ({"max_age": 400 * 86400 + 1}, "at most 400 days"),
        ({"max_age": timedelta(days=401)}, "at most 400 days"),
        ({"max_age": 0}, "positive whole number"),
        ({"max_age": 1.5}, "must be int or timedelta or None"),
        ({"domain": "example.com; Path=/x"}, "give a host name"),
        ({"domain": "example.com\r\nX: y"}, "give a host name"),
        ({"domain": "münchen.example"}, "give a host name"),
        ({"domain": ""}, "give a host name"),
        ({"domain": "a" * 1025}, "give a host name"),
        ({"path": "/a; Domain=evil"}, "give an absolute path"),
        ({"path": "/a\r\nSet-Cookie: x=y"}, "give an absolute path"),
        ({"path": "/a\0"}, "give an absolute path"),
        ({"path": "/\x7f"}, "give an absolute path"),
        ({"path": "/ü"}, "give an absolute path"),
        ({"path": "shop"}, "give an absolute path"),
        ({"path": ""}, "give an absolute path"),
        ({"path": "/" + "a" * 1024}, "give an absolute path"),
        ({"httponly": "yes"}, "must be bool"),
    ],
)
def test_what_a_browser_would_drop_is_refused(options, reason):
    """Requirement 8: refused at start-up with the reason."""
    with pytest.raises(ConfigurationError) as refusal:
        CookiePolicy(**options)

    assert reason in str(refusal.value)


def test_longest_max_age_is_taken():
    """Requirement 8: exactly 400 days are allowed."""
    assert CookiePolicy(max_age=timedelta(days=400)).max_age == 34_560_000


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("__Secure-session", {}, "needs the attribute Secure"),
        ("__secure-session", {"secure": False}, "needs the attribute Secure"),
        ("__Host-session", {}, "needs the attribute Secure"),
        ("__HOST-session", {"secure": True, "path": "/shop"}, "Leave domain and path out"),
        ("__Host-session", {"secure": True, "domain": "example.com"}, "Leave domain and path out"),
        ("__Http-session", {"secure": True, "httponly": False}, "Leave httponly at True"),
        ("__Host-Http-session", {"secure": True, "httponly": False}, "Leave httponly at True"),
        ("__Host-Http-session", {"secure": True, "path": "/shop"}, "Leave domain and path out"),
    ],
)
def test_prefixed_name_needs_what_browsers_ask_of_it(name, options, reason):
    """Requirement 8: the prefixes of cookie names, in any case of letters."""
    with pytest.raises(ConfigurationError) as refusal:
        cookie(name, **options)

    assert reason in str(refusal.value)
    assert name in str(refusal.value)


@pytest.mark.parametrize("name", ["__Secure-session", "__Host-session", "__Http-session", "__Host-Http-session"])
def test_prefixed_name_is_taken_with_a_policy_that_fits(name):
    """Requirement 8: a prefixed name works with secure=True."""
    bound = cookie(name, secure=True)

    assert bound.set(ID, secure=False) == f"{name}={ID}; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert bound.read(f"{name}={ID}") == ID


def test_secure_prefix_allows_a_path():
    """Requirement 8: only `__Host-` ties the cookie to the whole host."""
    assert "path" in attributes(
        cookie("__Secure-s", secure=True, path="/shop", domain="example.com").expire(secure=True)
    )


def test_name_and_longest_id_fit_into_a_cookie():
    """Requirement 8: name and value together have at most 4096 bytes, whatever the id is."""
    longest = cookie("n" * 3712)

    assert len(longest.set("," * 128, secure=True).partition(";")[0]) == 4096 + len("=")
    with pytest.raises(ConfigurationError, match="at most 3712"):
        cookie("n" * 3713)


@pytest.mark.parametrize("hostile", ["", "a;b", "a\r\nSet-Cookie: b=c", "a b", "ü", "a" * 129, "a\n", 'a"'])
def test_nothing_but_an_id_gets_into_the_header(hostile):
    """Requirement 2: whatever the life cycle lets through, the header cannot be broken out of."""
    with pytest.raises(InvalidSessionId) as refusal:
        cookie().set(hostile, secure=True)

    assert not hostile or hostile not in str(refusal.value)


def test_id_with_a_comma_comes_back():
    """A comma may not stand in a cookie's value, but the syntax of ids allows it."""
    bound = cookie()
    pair = bound.set("a,b,c", secure=True).partition(";")[0]

    assert "," not in pair
    assert bound.read(pair) == "a,b,c"
    assert bound.read("session=a%2cb") == "a,b"
    assert bound.read("session=a,b") == "a,b"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (f"session={ID}", ID),
        (f"a=b; session={ID}; c=d", ID),
        (f"a=b;session={ID};c=d", ID),
        (f"a=b;\t session = {ID} \t;c=d", ID),
        (f'session="{ID}"', ID),
        ("session=first; session=second", "first"),
        ("xsession=a; sessionx=b; Session=c", None),
        ("a=session; b=session=x", None),
        ("session", None),
        ("session; session=x", "x"),
        ("session=", ""),
        ('session="', '"'),
        ('session=""', ""),
        ('a="x; session=inside; b=y"', "inside"),
        ("session=a=b", "a=b"),
        ("=session=x", None),
        ("session\x0b=x; session\xa0=y", None),
        ("", None),
        (";;;=;", None),
    ],
)
def test_cookie_is_read_as_browsers_write_it(header, value):
    """The first cookie of exactly the session's name counts, quoted or not (RFC 6265, section 5.4)."""
    assert cookie().read(header) == value


@given(st.text() | st.text(st.sampled_from('session=;" \t\r\n\0,%2Cü')))
def test_no_header_makes_reading_fail(header):
    """Requirement 2: hostile bytes raise nothing and never read as more than what stands there."""
    value = cookie().read(header)

    assert value is None or len(value) <= len(header)


@given(st.text(st.sampled_from("abcXYZ019,-"), min_size=1, max_size=128), st.text(st.sampled_from(printable)))
def test_what_was_set_is_read_again(session_id, others):
    """Each id comes back as it went out, whatever cookies follow."""
    bound = cookie()
    pair = bound.set(session_id, secure=True).partition(";")[0]

    assert bound.read(f"{pair}; {others}") == session_id


def test_other_cookies_are_told_apart():
    """A Set-Cookie of the application is recognised by its name alone."""
    bound = cookie()

    assert isinstance(bound, SessionCookie)
    assert bound.is_set_by(bound.set(ID, secure=True))
    assert bound.is_set_by(bound.expire(secure=True))
    assert bound.is_set_by(" session =x; Path=/other")
    assert not bound.is_set_by("sessions=x; session=y")
    assert not bound.is_set_by("Session=x")


def test_policy_is_made_of_text():
    """URLs and the environment give texts: each is read by the declared type of its option."""
    policy = CookiePolicy.from_text({"secure": "true", "samesite": "strict", "max_age": "60", "domain": "a.example"})

    assert policy == CookiePolicy(secure=True, samesite="Strict", max_age=60, domain="a.example")


def test_unknown_option_is_named():
    """An option that does not exist is refused, and the near one is named."""
    with pytest.raises(ConfigurationError, match=r"'same_site'.*Did you mean 'samesite'"):
        CookiePolicy.from_mapping({"same_site": "Lax"})
