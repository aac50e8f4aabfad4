"""Camera: where a moving camera is, is near to what was measured of it, and it goes smoothly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from warpprior.support.limits import positive
from warpprior.terms.term import GAUSS_NEWTON, BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem


@dataclass(frozen=True)
class CameraMotion(Term):
    """Offsets from measured poses, by their noise, and accelerations, by the true times of frames; both robust.

    Of scenes whose camera moves, and is estimated; how far measured poses are off is the scene's (``World.noise``).

    Attributes:
        sigma_m_s2: acceleration of the camera that counts one [m/s^2].
        sigma_rad_s2: of its rotation [rad/s^2].
    """

    name: ClassVar[str] = "camera"
    uses: ClassVar[tuple[str, ...]] = (GAUSS_NEWTON,)
    ties_frames: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("world",)

    sigma_m_s2: float = positive(2.0)
    sigma_rad_s2: float = positive(10.0)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One, where poses of the camera are unknowns; it goes with the first body."""
        return [] if problem.equations.camera < 0 else [BoundCamera(self, problem.motion.estimated[0], problem)]


class BoundCamera(BoundTerm):
    """The motion of the camera."""

    term: CameraMotion
    asks_contacts: ClassVar[bool] = False

    def __init__(self, term: CameraMotion, body: SceneBody, problem: Problem):
        import warp as wp

        super().__init__(term, body, problem)
        world, motion = problem.motion.world, problem.motion
        assert world is not None, "its poses are unknowns"
        self._world, self._start = world, problem.equations.camera
        rate = motion.scene.fps**2
        stiffness = [term.weight * (rate / sigma) ** 2 for sigma in (term.sigma_m_s2, term.sigma_rad_s2)]
        self._place, self._turn = (wp.full(1, one, dtype=wp.float32, device=motion.device) for one in stiffness)
        self._expected = world.expected(term.weight)

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.camera_motion import add_camera_smoothness, add_measured_poses

        motion, viewer = self.problem.motion, self._world.viewer(self._start)
        add_measured_poses(self._world.offsets, self._expected, self._start, system, cost_out=self.costs)
        stiffness = self._place, self._turn
        add_camera_smoothness(viewer, motion.segments, motion.paces, *stiffness, system, cost_out=self.costs)
