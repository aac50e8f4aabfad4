"""Several clips as one problem: frames one behind the other, which have nothing to do with each other.

Each clip keeps a problem of its own, and with it all that is decided on the host: its window, what all of its frames
share, how sure it is.  Joined are the arrays underneath, so that everything is launched once for all: poses and
surfaces, what touches, drawings, and the terms (:meth:`warpprior.terms.term.BoundTerm.across`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from warpprior.bodies.body import Body
from warpprior.render.parts import Parts
from warpprior.scene import Scene, SceneBody
from warpprior.system.drawings import Drawings
from warpprior.system.holding import Holding
from warpprior.system.joined_picture import JoinedPicture, joined_picture
from warpprior.system.motion import MotionState
from warpprior.system.problem import Problem, ProblemTerm
from warpprior.system.shared_unknowns import joined_unknowns

MOST_PIXELS = 2**29  # of all frames together: kernels count half of them in 32 bits
DETECTED = ("keypoints2d", "boxes")  # fields of a scene that terms read which may be joined


class Joined(Problem):
    """The problem of several clips.

    Args:
        motion: of all clips, divided.
        problems: of the clips, of which no term is bound yet; from here on their arrays are a part of this one's.
        parts: frames of all that are drawn together; None for all.

    Attributes:
        draws_together: all clips can be drawn in the same launches: what drawings are compared with is in memory.
    """

    def __init__(self, motion: MotionState, problems: Sequence[Problem], parts: Parts | None = None):
        self.motion = motion
        backdrop = all(problem.holding.backdrop for problem in problems)
        self.holding = Holding(parts, backdrop)
        pixels = sum(frames * size for frames, size in (_drawn_size(problem) for problem in problems))
        self.draws_together = all(problem.holding.distances for problem in problems) and pixels < MOST_PIXELS
        self._pictures = [problem.observed for problem in problems]
        self.shared = joined_unknowns([problem.shared for problem in problems])
        self._make_room([part.start for part, _ in motion.clips])
        self._draws = False
        for problem, (part, _) in zip(problems, motion.clips, strict=True):
            problem.join(self, part)

    @cached_property
    def observed(self) -> JoinedPicture:
        """What is seen in all clips; whoever asks takes their distances to label borders over."""
        return joined_picture(self.motion, self._pictures)

    @cached_property
    def drawings(self) -> Drawings:
        """Canvases of the estimated bodies, in the frames of all clips."""
        return Drawings(self.motion, self.observed, self.holding)

    def prepare_for(self, terms: Iterable[ProblemTerm]) -> None:
        super().prepare_for(terms)
        self._draws = self._draws and self.draws_together


def _drawn_size(problem: Problem) -> tuple[int, int]:
    """Frames of a problem, and pixels of its window."""
    window = problem.observed.window
    return len(window.origins), window.width * window.height


def why_not_joined(problems: Sequence[Problem]) -> str | None:
    """Why problems of scenes of one kind cannot be joined; None where they can."""
    names = {problem.shared.names for problem in problems}
    if len(names) > 1:
        return "their frames do not share the same unknowns"
    if problems[0].shared.shapes or problems[0].shared.sizes or problems[0].estimates_focal:
        return "shapes, sizes and focal length are a clip's own"
    return None


def joined_scene(scenes: Sequence[Scene]) -> Scene:
    """Scenes of one kind, one behind the other, without their pictures and times, which are each scene's own."""
    first = scenes[0]
    bodies = tuple(_behind_each_other([scene.body(item.name) for scene in scenes]) for item in first.bodies)
    detected: dict[str, Any] = {
        key: {name: np.concatenate([getattr(scene, key)[name] for scene in scenes]) for name in getattr(first, key)}
        for key in DETECTED
    }
    return Scene("clips", first.camera, first.fps, bodies, noise=first.noise, **detected)


def _behind_each_other(items: Sequence[SceneBody]) -> SceneBody:
    first = items[0]
    arrays = {
        key: np.concatenate([getattr(item.initial, key) for item in items])
        for key in ("position", "rotation", "joints")
    }
    initial = replace(first.initial, **arrays, covariance=None, imputed=None, moments=None)
    return replace(first, initial=initial, truth=None)


def kind_of(scene: Scene) -> tuple | None:
    """What scenes have in common that can be joined; None where a body is an animation, or the camera moves."""
    if any(item.body.animation is not None for item in scene.bodies) or (scene.world and scene.world.moves):
        return None
    bodies = [
        (item.name, item.label, item.known, item.symmetry, _digest(item.body), *_size_of(item)) for item in scene.bodies
    ]
    seen = [getattr(scene, key) is None for key in ("labels", "read_rgb", "read_depth")]
    detected = [tuple(sorted(getattr(scene, key))) for key in DETECTED]
    return scene.camera, scene.fps, tuple(sorted(scene.noise.items())), tuple(bodies), *seen, *detected


def _size_of(item: SceneBody) -> tuple[float, bytes]:
    return float(item.initial.scale), np.asarray(item.initial.shape, dtype=np.float64).tobytes()


@lru_cache(maxsize=256)
def _digest(body: Body) -> bytes:
    """Bodies that are alike in all have the same."""
    digest = blake2b(digest_size=16)
    for array in _contents(body):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data if array.dtype != object else repr(array).encode())
    return digest.digest()


def _contents(value: Any) -> Iterable[np.ndarray]:
    if is_dataclass(value):
        for field in fields(value):
            yield from _contents(getattr(value, field.name))
    else:
        yield np.asarray(value)
