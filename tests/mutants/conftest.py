"""Put the adapters of these tests where they can be imported, also by other processes and by pytest runs inside."""

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).parent / "adapters")
if _FOLDER not in sys.path:
    sys.path.insert(0, _FOLDER)
