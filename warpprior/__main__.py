"""``python -m warpprior`` is the command line."""

import sys

from warpprior.cli import main

if __name__ == "__main__":
    sys.exit(main())
