"""The world that a scene was recorded in: poses of a moving camera, how sure they are, and which way things fall."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from warpprior.bodies.body import UNIT_TOLERANCE
from warpprior.support.errors import InputError
from warpprior.support.limits import check_ranges, number

STILL_M, STILL_RAD = 1e-4, 1e-4  # a camera that moves less in all is taken to stand


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class CameraPath:
    """Poses of the camera, world_from_camera.

    Attributes:
        position: (frame, 3) [m].
        rotation: unit quaternions (frame, 4), xyzw.
        valid: frames whose poses were given, not interpolated (frame,) bool; None: all.
        covariance: of the errors of position [m] and rotation vector [rad], both along the axes of the world
            (frame, 6, 6); None where nobody says.
    """

    position: np.ndarray
    rotation: np.ndarray
    valid: np.ndarray | None = None
    covariance: np.ndarray | None = None

    @property
    def frame_count(self) -> int:
        return len(self.position)

    def frames(self, selection) -> CameraPath:
        """The same at the selected frames (slice or index array)."""
        valid = None if self.valid is None else self.valid[selection]
        covariance = None if self.covariance is None else self.covariance[selection]
        return CameraPath(self.position[selection], self.rotation[selection], valid, covariance)

    def matrices(self) -> np.ndarray:
        """World_from_camera (frame, 4, 4) float64."""
        from scipy.spatial.transform import Rotation

        matrices = np.tile(np.eye(4), (self.frame_count, 1, 1))
        matrices[:, :3, :3] = Rotation.from_quat(self.rotation).as_matrix()
        matrices[:, :3, 3] = self.position
        return matrices

    def travel(self) -> tuple[float, float]:
        """How far the camera gets from where it begins [m], and how far it turns [rad]."""
        away = np.linalg.norm(self.position - self.position[0], axis=1).max()
        cosine = np.abs(self.rotation @ self.rotation[0]).min()
        return float(away), float(2.0 * np.arccos(min(cosine, 1.0)))

    @property
    def moves(self) -> bool:
        away, turned = self.travel()
        return away > STILL_M or turned > STILL_RAD

    def moved(self, position: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Poses camera_from_body, positions (frame, 3) and quaternions (frame, 4) xyzw, as world_from_body."""
        from scipy.spatial.transform import Rotation

        turn = Rotation.from_quat(self.rotation)
        return turn.apply(position) + self.position, (turn * Rotation.from_quat(rotation)).as_quat()

    def moved_places(self, places: np.ndarray) -> np.ndarray:
        """Places (frame, 3) of the camera's frames in the world."""
        from scipy.spatial.transform import Rotation

        return Rotation.from_quat(self.rotation).apply(places) + self.position

    def to_next(self) -> CameraPath:
        """The pose of each frame's camera in the frame of the next one; of the last one, nothing at all.

        What rests in the world goes by it from frame to frame.
        """
        after = np.minimum(np.arange(self.frame_count) + 1, self.frame_count - 1)
        position, rotation = self.frames(after).seen(self.position, self.rotation)
        return CameraPath(position, rotation)

    def seen_next(self, places: np.ndarray) -> np.ndarray:
        """Where the next frame's camera sees places (frame, 3) of each frame, if they rest in the world."""
        return self.to_next().moved_places(places)

    def seen(self, position: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Poses world_from_body as camera_from_body; the other way round."""
        from scipy.spatial.transform import Rotation

        turn = Rotation.from_quat(self.rotation).inv()
        return turn.apply(position - self.position), (turn * Rotation.from_quat(rotation)).as_quat()

    def from_its_first(self) -> CameraPath:
        """The same in a world that is the camera's first frame: numbers are small however far away the world begins."""
        from scipy.spatial.transform import Rotation

        back, turn = Rotation.from_quat(self.rotation[0]).inv(), Rotation.from_quat(self.rotation)
        covariance = self.covariance
        if covariance is not None:
            axes = np.kron(np.eye(2), back.as_matrix())
            covariance = axes @ covariance @ axes.T
        return CameraPath(back.apply(self.position - self.position[0]), (back * turn).as_quat(), self.valid, covariance)

    def __matmul__(self, other: CameraPath) -> CameraPath:
        """Poses one behind the other, frame by frame or one for all: self times other."""
        position, rotation = self.moved(other.position, other.rotation)
        return CameraPath(position, rotation, other.valid)


@dataclass(frozen=True)
class CameraNoise:
    """How far measured poses of a camera are off: what each frame has of its own, and what adds up over time.

    Attributes:
        jitter_m, jitter_rad: one sigma in each frame by itself, per axis.
        drift_m, drift_rad: one sigma of a random walk after one second, per axis.
    """

    jitter_m: float = number(0.005, 1e-6, 1e3)
    jitter_rad: float = number(0.0087, 1e-7, 10.0)
    drift_m: float = number(0.01, 0.0, 1e3)
    drift_rad: float = number(0.01, 0.0, 10.0)

    def __post_init__(self):
        check_ranges(self, "camera ")

    def covariances(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the errors of any two frames, in place and in turn (frame, frame) each; times are since the first [s]."""
        since = np.minimum(times[:, None], times[None, :])
        own = np.eye(len(times))
        place = self.jitter_m**2 * own + self.drift_m**2 * since
        return place, self.jitter_rad**2 * own + self.drift_rad**2 * since


@dataclass(frozen=True, eq=False)
class World:
    """Where the camera was, how sure that is, and the direction of gravity.

    Attributes:
        camera: its poses in the world; None: it stands, and its frame is the world.
        gravity: unit vector (3,) in the world along which things fall; None where it is not known.
        noise: how far the camera's poses are off, which are estimated then; None: they are known.
        truth: the true poses of the camera, where they are known; used for metrics only.
        given: its poses before they were estimated; None where they were not.
    """

    camera: CameraPath | None = None
    gravity: np.ndarray | None = None
    noise: CameraNoise | None = None
    truth: CameraPath | None = None
    given: CameraPath | None = None

    @property
    def moves(self) -> bool:
        """The camera does not stand."""
        return self.camera is not None and self.camera.moves

    def first_frames(self, count: int) -> World:
        """The same, cut to its first frames."""
        cut = {
            key: path.frames(slice(0, count))
            for key in ("camera", "truth", "given")
            if (path := getattr(self, key)) is not None
        }
        return replace(self, **cut) if cut else self

    def check(self, where: str, frame_count: int) -> None:
        """Refuse paths of the camera without poses in every frame, as unit quaternions.

        Raises:
            InputError: names the place and the path.
        """
        for name, path in (("camera", self.camera), ("truth", self.truth)):
            if path is None:
                continue
            shapes = np.shape(path.position), np.shape(path.rotation)
            wanted = (frame_count, 3), (frame_count, 4)
            if shapes != wanted:
                raise InputError(f"{where}: {name}", f"shapes {shapes}", f"shapes {wanted}")
            good = np.isfinite(path.position).all() and np.isfinite(path.rotation).all()
            if not good or np.abs(np.linalg.norm(path.rotation, axis=1) - 1.0).max() > UNIT_TOLERANCE:
                accepted = "finite places and unit quaternions"
                raise InputError(f"{where}: {name}", "not finite, or of another length", accepted)
