"""The explorer finds out when a rule of ending all sessions of a principal is taken out."""

import pytest
from interleaving import Loss, explore
from revocation import OPTIONS, anonymous_world, check_revocation, their_world
from sessionbag.lifecycle import Destroy, index, moving, principals, saving
from sessionbag.lifecycle.writing import twice


def nothing(*_):
    yield from ()


def only_what_is_there(session, key, version):
    """Leave no record where none is yet."""
    if version is not None:
        yield from principals_put(session, key, version)


def plainly_removed(session, key, version):
    """Remove a record instead of leaving one that says that it was revoked."""
    if version is not None:
        yield from twice(Destroy(key, version))


def whatever_is_there(session, key, entries, version):
    """Change the index in whatever version it is."""
    yield Destroy(key)
    if entries:
        yield from index_replace(session, key, entries, None)


def never(*_):
    return False


def the_keys_alone(entries, keys):
    return set(keys)


def all_that_follow(entries, keys):
    return set(keys) | {key for key, entry in entries.items() if entry.former in keys}


def enrolled_later(session, key, body, target, ttl):
    """Write the record first and enter it in the index then."""
    base = yield from saving_put(session, key, body, target, ttl)
    session.base = None
    yield from principals_enrol(session, key, target)
    return base


principals_put = principals._put_revoked
principals_enrol = principals.enrol
index_replace = index.replace_index
saving_put = saving.put

UNANSWERED = (Loss(0, 2, performed=True),)
RULES = [
    pytest.param([(principals, "_put_revoked", only_what_is_there)], "newcomer", "revoker", (), id="tombstone"),
    pytest.param([(principals, "_put_revoked", only_what_is_there)], "login", "revoker", (), id="tombstone-at-login"),
    pytest.param([(principals, "_put_revoked", plainly_removed)], "newcomer", "revoker", UNANSWERED, id="replaced"),
    pytest.param([(saving, "enrol", nothing)], "newcomer", "lister", (), id="first-save-is-entered"),
    pytest.param([(saving, "enrol", nothing)], "claimer", "lister", (), id="change-of-principal-is-entered"),
    pytest.param([(moving, "enrol", nothing)], "login", "lister", (), id="login-is-entered"),
    pytest.param(
        [(saving, "enrol", nothing), (saving, "put", enrolled_later)], "newcomer", "revoker", (), id="entered-before"
    ),
    pytest.param([(principals, "replace_index", whatever_is_there)], "newcomer", "newcomer", (), id="by-version"),
    pytest.param([(principals, "in_flight", never)], "claimer", "revoker", (), id="claims-in-flight"),
    pytest.param([(principals, "in_flight", never)], "newcomer", "lister", (), id="entries-in-flight-stay"),
]
THEIRS = [
    pytest.param([(principals, "replace_index", whatever_is_there)], "newcomer", "revoker", id="taken-off-by-version"),
    pytest.param([(moving, "enrol", nothing)], "rotator", "lister", id="rotation-is-entered"),
    pytest.param([(moving, "enrol", nothing)], "copier", "lister", id="copy-is-entered"),
    pytest.param([(principals, "_lineage", the_keys_alone)], "rotator", "keeper", id="rotation-is-kept"),
    pytest.param([(principals, "_lineage", all_that_follow)], "login", "keeper", id="login-is-not-kept"),
]


def check_all(runs):
    for _, world in runs:
        check_revocation(world)


@pytest.mark.parametrize(("rules", "peer", "who", "losses"), RULES)
def test_a_rule_that_is_taken_out_is_missed(monkeypatch, rules, peer, who, losses):
    """Some order lets a session slip through as soon as the rule is gone."""
    for module, rule, without in rules:
        monkeypatch.setattr(module, rule, without)

    with pytest.raises((AssertionError, KeyError)):
        check_all(explore((peer, who), OPTIONS, losses, make=anonymous_world))


@pytest.mark.parametrize(("rules", "peer", "who"), THEIRS)
def test_a_rule_for_sessions_that_are_listed_is_missed_when_taken_out(monkeypatch, rules, peer, who):
    """The same, where the session was the principal's before."""
    for module, rule, without in rules:
        monkeypatch.setattr(module, rule, without)

    with pytest.raises((AssertionError, KeyError)):
        check_all(explore((peer, who), OPTIONS, make=their_world))
