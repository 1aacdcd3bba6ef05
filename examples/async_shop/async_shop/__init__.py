"""The shop's async twin: ``python -m async_shop`` starts it."""

import sys
from pathlib import Path

# Both shops have the same goods and pages. Copy the folder `shop` beside this one to take this one elsewhere.
sys.path.append(str(Path(__file__).resolve().parents[2] / "shop"))
