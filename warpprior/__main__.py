"""``python -m warpprior`` is the command line."""

import sys

try:
    from warpprior.cli import main
except KeyboardInterrupt:  # before there is anything that could say so
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
