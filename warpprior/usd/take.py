"""A take: what is written of a scene's motion, checked once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

import warpprior
from warpprior.result import ContactPoints, Result
from warpprior.scene import Poses, Scene
from warpprior.support.errors import InputError
from warpprior.usd.camera import stage_from_camera, turned

About = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Take:
    """A motion to be written to a stage.

    Attributes:
        scene: camera, rate and bodies.
        poses: motion of every body of the scene, camera_from_body.
        contacts: contact points to turn into heat.
        heat: contact heat given directly, ``{body: (frame, vertex)}`` in [0, 1]; goes before ``contacts``.
        metadata: plain values to keep with the motion, such as the seed.
        world_from_camera: where the camera stands, position [m] then quaternion xyzw (7,), or in each frame (frame, 7);
            OpenCV camera axes, Z up; None: one metre above the origin, level, and one that moves as
            :func:`warpprior.usd.camera.stage_from_camera` has it.

    Raises:
        InputError: on construction: a body without poses, frames that do not match, or numbers that are not finite.
    """

    scene: Scene
    poses: Mapping[str, Poses]
    contacts: Sequence[ContactPoints] = ()
    heat: Mapping[str, np.ndarray] | None = None
    metadata: About = field(default_factory=dict)
    world_from_camera: Sequence[float] | np.ndarray | None = None

    def __post_init__(self):
        _check_poses(self.scene, self.poses)
        given = self.world_from_camera
        stand = stage_from_camera(self.scene) if given is None else np.asarray(given, dtype=np.float64)
        object.__setattr__(self, "world_from_camera", stand)

    @staticmethod
    def of(result: Result, *, device: str | None = None, seed: int | None = None) -> Take:
        """What an estimator returned, with its settings, seed, versions, metrics and verdicts.

        Args:
            result: as returned.
            device: that it was estimated on, to be kept with it.
            seed: that it was estimated with, to be kept with it; None takes that of the settings.
        """
        from warpprior.io.results import plain
        from warpprior.support.environment import versions

        about: dict[str, str | int | float | bool] = {
            "settings": json.dumps(plain(result.settings)),
            "metrics": json.dumps(_without_lists(plain(result.metrics))),
            "verdicts": json.dumps({name: verdict.counts() for name, verdict in result.verdicts.items()}),
            "versions": json.dumps(versions()),
            "complete": result.complete,
        }
        if device is not None:
            about["device"] = device
        seed = result.settings.get("seed") if seed is None else seed
        if isinstance(seed, int):
            about["seed"] = seed
        return Take(result.scene, result.poses, result.contacts, metadata=about)

    @property
    def stand(self) -> np.ndarray:
        """world_from_camera (7,), or (frame, 7)."""
        assert isinstance(self.world_from_camera, np.ndarray)
        return self.world_from_camera

    def turned(self, up_axis: str) -> Take:
        """The same in a world whose ``up_axis`` is Z, as it is, or Y."""
        return replace(self, world_from_camera=turned(self.stand, up_axis))

    @property
    def about(self) -> dict:
        """What is said about the motion where it is written, of types that USD dictionaries hold."""
        from pxr import Vt

        stand = np.atleast_2d(self.stand)[0]
        first = Vt.DoubleArray(stand.tolist())
        return {
            "version": warpprior.__version__,
            "scene": self.scene.name,
            **self.metadata,
            "worldFromCamera": first,
        }


def _without_lists(value: object) -> object:
    """Plain data without its lists: of metrics, those per frame."""
    if not isinstance(value, dict):
        return value
    return {key: _without_lists(item) for key, item in value.items() if not isinstance(item, list)}


def _check_poses(scene: Scene, poses: Mapping[str, Poses]) -> None:
    for body in scene.bodies:
        if body.name not in poses:
            raise InputError(f"poses of {body.name}", "missing", f"poses of {[b.name for b in scene.bodies]}")
        motion = poses[body.name]
        if motion.frame_count != scene.frame_count:
            raise InputError(f"poses of {body.name}", f"{motion.frame_count} frames", f"{scene.frame_count} frames")
        for name in ("position", "rotation", "joints", "shape", "scale"):
            values = np.asarray(getattr(motion, name))
            if not np.all(np.isfinite(values)):
                where = f"poses of {body.name}: {name}"
                if values.ndim == 2:
                    where += f", frame {int(np.argmin(np.isfinite(values).all(axis=1)))}"
                raise InputError(where, "not a finite number", "finite numbers")
        lengths = np.linalg.norm(motion.rotation, axis=1)
        if np.any(lengths < 1.0e-6):
            raise InputError(f"poses of {body.name}: rotation, frame {int(np.argmin(lengths))}", "zero", "a quaternion")
        size = 6 + body.body.coordinate_count
        if motion.covariance is not None and motion.covariance.shape != (scene.frame_count, size, size):
            accepted = f"shape {(scene.frame_count, size, size)}"
            raise InputError(f"poses of {body.name}: covariance", f"shape {motion.covariance.shape}", accepted)
