"""Print the lowest version of every dependency pyproject.toml allows, as pip constraints."""

import re
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def minimum_versions(text: str) -> list[str]:
    """Constraints ``name==floor`` for what users install; development tools stay at their newest."""
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    constraints = []
    for requirement in [*project["dependencies"], *extras["usd"], *extras["cv"], *extras["formats"]]:
        name, floor, marker = re.fullmatch(r"([\w.-]+)>=([\d.]+)(;.*)?", requirement.replace(" ", "", 1)).groups()
        constraints.append(f"{name}=={floor}{marker or ''}")
    return constraints


if __name__ == "__main__":
    print("\n".join(minimum_versions(PROJECT.read_text())))
