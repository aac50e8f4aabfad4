"""A term that does to its process what the name of the scene says, for tests and measurements of batches."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from warpprior.terms import Term

FOLDER = "WARPPRIOR_TRAPS"  # variable: where processes leave their numbers, and where "released" lets them go


@dataclass(frozen=True)
class Trap(Term):
    """Adds nothing."""

    name = "trap"

    def bind(self, problem):
        """Kill this process, or hang, where the scene is called so."""
        scene, folder = problem.motion.scene.name, Path(os.environ.get(FOLDER, "."))
        if scene.startswith(("kills", "hangs", "waits")):
            (folder / f"{scene}.{os.getpid()}").touch()
        if scene.startswith("kills"):
            os.kill(os.getpid(), signal.SIGKILL)
        while scene.startswith("hangs") or (scene.startswith("waits") and not (folder / "released").exists()):
            time.sleep(0.05)
        return []
