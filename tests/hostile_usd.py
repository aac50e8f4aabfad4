"""USD files that crash OpenUSD or keep it busy: stages of our own with a few bits turned, and one too deep."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "fixtures" / "hostile_usd"
ABORTS, ENDLESS = FOLDER / "aborts.usdc", FOLDER / "endless.usdc"


def write_deep(path: Path, levels: int = 20_000) -> Path:
    """A text stage of prims within prims."""
    path.write_text("#usda 1.0\n" + 'def Xform "a" {\n' * levels + "}\n" * levels)
    return path
