"""`python -m seyolo`, the same as the command `seyolo`."""

import sys

from seyolo.cli import main

if __name__ == "__main__":
    sys.exit(main())
