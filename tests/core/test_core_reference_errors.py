"""The row of the reference that is about exceptions, and the tree that the errors are documented by."""

import pickle
import re

import pytest
import sessionbag
from sessionbag import errors

TREE = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]


def drawn():
    """Return what the docstring draws: each error with its depth and its built-in bases."""
    rows = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^( {4}[ │├└─]*)([A-Z]\w+)(?:\s+\(([\w, ]+)\))?$", line)
        if found:
            rows.append(((len(found[1]) - 4) // 4, found[2], found[3]))
    return rows


def test_exception_is_the_base_of_all():
    """One except clause catches whatever sessionbag raises."""
    assert all(issubclass(each, sessionbag.SessionError) for each in TREE)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (sessionbag.InvalidSessionAdapter, TypeError),
        (sessionbag.InvalidSessionName, ValueError),
        (sessionbag.InvalidSessionId, ValueError),
        (sessionbag.SessionAlreadyStarted, RuntimeError),
        (sessionbag.SessionNotStarted, RuntimeError),
        (sessionbag.LockTimeout, TimeoutError),
        (sessionbag.StoreUnavailable, ConnectionError),
    ],
)
def test_exception_is_also_the_builtin_that_it_is_a_kind_of(error, builtin):
    """Code that knows nothing of sessionbag catches the right thing."""
    assert issubclass(error, builtin)


def test_tree_in_the_docstring_is_the_real_one():
    """Depth, order of inheritance and built-in bases."""
    parents, real = [], []
    for depth, name, builtin in drawn():
        parents[depth:] = [name]
        error = getattr(errors, name)
        bases = [base.__name__ for base in error.__bases__]
        real.append(
            (depth, name, bases == [parents[depth - 1] if depth else "Exception", *([builtin] if builtin else [])])
        )

    assert all(matches for _, _, matches in real), real
    assert sorted(name for _, name, _ in real) == sorted(each.__name__ for each in TREE)


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_errors_read_as_they_are_imported(error):
    """A traceback says sessionbag.SessionGone, and an error survives pickling."""
    made = error("told")
    again = pickle.loads(pickle.dumps(made))  # noqa: S301  # our own pickle

    assert (error.__module__, getattr(sessionbag, error.__name__)) == ("sessionbag", error)
    assert (type(again), str(again)) == (error, "told")


def test_errors_carry_their_culprit():
    """As an attribute, also after pickling."""
    culprits = [
        sessionbag.AdapterNotFound("told", name="redis"),
        sessionbag.AdapterLoadError("told", name="redis"),
        sessionbag.SerializationError("told", path="cart.items[3]"),
    ]
    missing, broken, value = pickle.loads(pickle.dumps(culprits))  # noqa: S301  # our own pickle

    assert (missing.name, broken.name, value.path) == ("redis", "redis", "cart.items[3]")


@pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)
def test_every_error_is_explained(error):
    """In a docstring of its own."""
    assert error.__doc__
