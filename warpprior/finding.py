"""Finding: one thing that looks wrong in a scene, or that nothing in it can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from warpprior.scene import Scene

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        code: which kind of fault, as in ``docs/checks.md``.
        level: ``error``: the evidence contradicts the data clearly; ``warning``: it does, but not for sure; ``note``:
            what the evidence cannot tell.
        body: whose data it is about; None for the whole scene.
        frames: in which it was seen, in order.
        evidence: the numbers that it rests on, by name.
        message: what is wrong, in one sentence.
        cure: what to do about it, in one line; empty where nothing can be proposed.
        mend: makes the scene with the cure of the one that was checked; None where it has to be done by hand.
    """

    code: str
    level: Level
    body: str | None
    frames: tuple[int, ...]
    message: str
    cure: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    mend: Callable[[Scene], Scene] | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain data, for JSON."""
        return {
            "code": self.code,
            "level": self.level,
            "body": self.body,
            "frames": list(self.frames),
            "evidence": {name: _plain(value) for name, value in self.evidence.items()},
            "message": self.message,
            "cure": self.cure,
        }


def _plain(value: Any) -> Any:
    """Numbers rounded to four digits, which is more than evidence is worth."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, int) else float(f"{float(value):.4g}")
