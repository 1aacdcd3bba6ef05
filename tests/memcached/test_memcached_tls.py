"""Encrypted connections, to a real memcached with certificates of the tests' own authority."""

import pytest
import trustme
from memcached_servers import HOST
from sessionbag import StoreUnavailable


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path):
    """Write the authority's certificate and one for clients, and return their paths."""
    client = authority.issue_cert("client@example.org")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    return {"ca": tmp_path / "ca.pem", "client": tmp_path / "client.pem"}


@pytest.fixture
def start_encrypted(authority, start_memcached, files, tmp_path):
    """Start a memcached whose certificate is for these names."""

    def start(*names, verify=0):
        certificate = authority.issue_cert(*names)
        path = tmp_path / f"server-{'-'.join(names)}.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(path)
        options = f"ssl_chain_cert={path},ssl_key={path},ssl_ca_cert={files['ca']},ssl_verify_mode={verify}"
        return start_memcached("-Z", "-o", options)

    return start


def use(store, key):
    data = b"x" * 40_000
    store.write(key, data, 60, expected=None)
    found = store.read(key, 60)
    assert found.data == data
    assert store.destroy(key, expected=found.version) is True


def test_records_travel_encrypted(make, start_encrypted, files, key):
    """The server's certificate is checked against the authority and the name."""
    server = start_encrypted(HOST)
    for _ in range(3):
        use(make(server.address, tls=True, tls_ca=files["ca"]), key)

    with pytest.raises(StoreUnavailable):
        make(server.address, timeout=0.5).read(key)


def test_a_name_is_checked_on_each_of_its_addresses(make, start_encrypted, files, key):
    """The certificate is for the name, and connections are made to an address."""
    server = start_encrypted("localhost")

    use(make(f"localhost:{server.port}", tls=True, tls_ca=files["ca"]), key)


def test_a_certificate_for_another_name_is_an_outage(make, start_encrypted, files, key):
    """Nothing is sent to whoever answers there."""
    server = start_encrypted("elsewhere.example")

    with pytest.raises(StoreUnavailable, match=r"cannot be reached: .*certificate.* TLS are right"):
        make(server.address, tls=True, tls_ca=files["ca"]).read(key)


def test_a_certificate_of_an_unknown_authority_is_an_outage(make, start_encrypted, key):
    """The system's authorities are trusted unless others are named."""
    server = start_encrypted(HOST)

    with pytest.raises(StoreUnavailable, match="certificate"):
        make(server.address, tls=True).read(key)


def test_servers_may_ask_for_a_certificate(make, start_encrypted, files, key):
    """Who has none does not get in."""
    server = start_encrypted(HOST, verify=2)
    use(make(server.address, tls=True, tls_ca=files["ca"], tls_cert=files["client"]), key)

    with pytest.raises(StoreUnavailable):
        make(server.address, tls=True, tls_ca=files["ca"]).read(key)
