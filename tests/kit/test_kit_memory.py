"""Memory keeps every rule of the handler spec."""

import pytest
from sessionbag.adapters import Memory
from sessionbag.testing import AdapterSuite

pytestmark = pytest.mark.soak


class TestMemory(AdapterSuite):
    adapter = Memory
    name = "memory"
    shared = False  # its records live in one process
