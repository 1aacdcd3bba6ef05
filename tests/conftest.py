"""What all tests share: how long generated tests run."""

import os

from hypothesis import HealthCheck, settings

# Timing says nothing on a busy machine, so no generated example has a deadline.
settings.register_profile(
    "short", max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("soak", settings.get_profile("short"), max_examples=1000)
settings.load_profile("soak" if os.environ.get("SESSIONBAG_SOAK") else "short")
