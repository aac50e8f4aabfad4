"""How much of a sequence is in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.render.parts import Parts


@dataclass(frozen=True)
class Holding:
    """What is held, and what is made again whenever it is looked at.

    Attributes:
        parts: frames whose drawings are held together; None: all.
        backdrop: known bodies are drawn once for all frames, not again with each part.
        distances: distances to label borders are in memory, not in a temporary file.
    """

    parts: Parts | None = None
    backdrop: bool = True
    distances: bool = True
