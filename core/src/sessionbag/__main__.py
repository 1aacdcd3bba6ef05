"""``python -m sessionbag`` is the command ``sessionbag``."""

import sys

from sessionbag.cli import main

if __name__ == "__main__":
    sys.exit(main())
