"""Everything here needs torch: `make test-torch` installs it, `make test` skips it where there is none."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]
