"""What all tests share: how long generated tests run, and that programs can be interrupted."""

import os
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["figures", "memcached_servers"]

# Timing says nothing on a busy machine, so no generated example has a deadline.
settings.register_profile(
    "short", max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("soak", settings.get_profile("short"), max_examples=1000)
settings.load_profile("soak" if os.environ.get("SESSIONBAG_SOAK") else "short")

# A shell that runs the tests in the background has them ignore interrupts, and so would each program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
