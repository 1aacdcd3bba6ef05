"""The row of the reference that is about the manager's interface and the status."""

from enum import IntEnum
from inspect import signature

import pytest
from sessionbag import Manager, ManagerFactory, ManagerInterface, Memory, SessionStatus

MEMBERS = (
    "destroy",
    "exists",
    "get",
    "get_adapter",
    "get_id",
    "get_name",
    "get_options",
    "has",
    "regenerate_id",
    "remove",
    "set",
    "set_adapter",
    "set_id",
    "set_name",
    "set_options",
    "start",
    "status",
)
"""The members of the reference's interface, in the spelling of Python."""


def test_session_status_has_the_names_and_values_of_the_reference():
    """DISABLED 0, NONE 1, ACTIVE 2; they are numbers."""
    assert issubclass(SessionStatus, IntEnum)
    assert {each.name: each.value for each in SessionStatus} == {
        "SESSION_DISABLED": 0,
        "SESSION_NONE": 1,
        "SESSION_ACTIVE": 2,
    }


@pytest.mark.parametrize("status", SessionStatus)
@pytest.mark.parametrize("carrier", [ManagerInterface, Manager, Manager()])
def test_manager_interface_carries_the_constants(carrier, status):
    """``session.SESSION_ACTIVE`` is what ``session.status()`` is compared with."""
    assert getattr(carrier, status.name) is status


def test_manager_satisfies_its_interface():
    """It is a Protocol: any manager does that has the members."""
    with ManagerFactory(adapter=Memory()) as factory:
        session = factory.new_instance()

        assert isinstance(Manager(), ManagerInterface)
        assert isinstance(session, ManagerInterface)
        assert not session.exists()
    assert not isinstance({}, ManagerInterface)


@pytest.mark.parametrize("member", MEMBERS)
def test_manager_interface_has_each_member(member):
    """With the parameters that the manager has, or fewer."""
    declared = list(signature(getattr(ManagerInterface, member)).parameters)
    there = list(signature(getattr(Manager, member)).parameters)

    assert there[: len(declared)] == declared


def test_manager_interface_has_no_other_member():
    """What else a manager can do is no part of the interface."""
    public = {name for name in vars(ManagerInterface) if not name.startswith("_")}

    assert sorted(public) == sorted([*MEMBERS, *(status.name for status in SessionStatus)])


def test_status_is_disabled_when_the_application_switched_sessions_off():
    """For every manager of its factory."""
    with ManagerFactory(enabled=False) as factory:
        assert factory.new_instance().status() is SessionStatus.SESSION_DISABLED
