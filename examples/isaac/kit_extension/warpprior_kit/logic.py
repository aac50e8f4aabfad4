"""What the panel does, in plain functions: no omni here, and stages are touched on the caller's thread alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import warpprior

AS_IT_IS = "as the stage has it"
KINDS = (AS_IT_IS, "hand:right", "hand:left")  # of a hand: our own hand's model moves its surface
LABELS = "labels/{:06d}.png"


@dataclass(frozen=True)
class Choice:
    """What a user has chosen in the panel.

    Attributes:
        hand, object, camera: paths of prims.
        kind: one of :data:`KINDS`, for the hand.
        labels: label images, relative to the stage's folder.
        device: Warp device; empty: a GPU if there is one.
    """

    hand: str
    object: str
    camera: str
    kind: str = AS_IT_IS
    labels: str = LABELS
    device: str = ""

    @property
    def bodies(self) -> dict[str, str | None]:
        """What :meth:`warpprior.Scene.from_stage` is told of the two prims."""
        return {self.hand: None if self.kind == AS_IT_IS else self.kind, self.object: "mesh"}


def prims_to_choose_from(stage: Any) -> tuple[list[str], list[str]]:
    """Paths of what may be a body, and of the cameras of a stage."""
    from pxr import UsdGeom, UsdPhysics, UsdSkel

    bodies, cameras = [], []
    for prim in stage.Traverse():
        path = str(prim.GetPath())
        if prim.IsA(UsdGeom.Camera):
            cameras.append(path)
        elif prim.IsModel() and not prim.IsGroup():
            bodies.append(path)
        elif prim.HasAPI(UsdPhysics.RigidBodyAPI) or prim.IsA(UsdSkel.Root):
            if not any(path.startswith(f"{above}/") for above in bodies):  # a bone, or a link of a robot
                bodies.append(path)
    return bodies, cameras


def problem_with(choice: Choice, stage: Any) -> str:
    """Why the choice cannot be run, for the panel's line; empty where it can be tried."""
    for what in ("hand", "object", "camera"):
        path = getattr(choice, what)
        if not path:
            return f"choose a prim for the {what}"
        if not stage.GetPrimAtPath(path):
            return f"{path} is not in the stage any more"
    if choice.hand == choice.object:
        return "hand and object are one prim"
    return "" if choice.labels else "say where the label images are"


def read_scene(stage: Any, choice: Choice) -> warpprior.Scene:
    """The scene of the open stage, on the thread that may touch it.

    Raises:
        WarppriorError: one sentence for the user.
    """
    return warpprior.Scene.from_stage(stage, bodies=choice.bodies, camera=choice.camera, labels=choice.labels)


def write_result(stage: Any, result: warpprior.Result, layer: Any = None) -> Any:
    """Write a result as a new prim, into a layer of the session or one that is given, on the thread that may touch it.

    Raises:
        WarppriorError: one sentence for the user.
    """
    from warpprior import usd

    chosen = stage.GetSessionLayer() if layer is None else layer
    return usd.write(stage, result, layer=chosen, replace=True)


def code_at(share: float, first: float, last: float) -> float:
    """The time code that a slider from 0 to 1 stands for: that of the nearest whole frame."""
    return first + round(min(max(share, 0.0), 1.0) * (last - first))


class Stopped(Exception):
    """The user has stopped the run."""


class Job:
    """A refinement on a thread of its own; the panel asks it how far it is.

    Args:
        scene: what is refined.
        device: Warp device; empty: a GPU if there is one.
        refine: what refines it.
    """

    def __init__(
        self, scene: warpprior.Scene, device: str = "", refine: Callable[..., warpprior.Result] = warpprior.refine
    ):
        self.result: warpprior.Result | None = None
        self.message = "starting"
        self.share = 0.0
        self._stop, self._refine = threading.Event(), refine
        self._thread = threading.Thread(target=self._run, args=(scene, device or None), daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Have it end at the next step; there is no result then."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Until it has ended, for so long at most."""
        self._thread.join(seconds)

    def _run(self, scene: warpprior.Scene, device: str | None) -> None:
        try:
            result = self._refine(scene, device=device, progress=self._told)
        except Stopped:
            self.message = "stopped"
        except warpprior.WarppriorError as error:
            self.message = str(error)
        except Exception as error:  # a thread has nobody to raise it to; the panel shows it
            self.message = f"{type(error).__name__}: {error}"
        else:
            self.result, self.share, self.message = result, 1.0, "done"

    def _told(self, done: float, total: float, what: str) -> None:
        if self._stop.is_set():
            raise Stopped
        self.share, self.message = done / total if total else 0.0, what
