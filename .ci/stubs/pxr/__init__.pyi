# OpenUSD says nothing of its types to a checker: everything in it may be anything.
from typing import Any

def __getattr__(name: str) -> Any: ...
