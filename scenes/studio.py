"""Stage and camera of a simulated scene: a table, a pedestal where one is needed, light, and where to look from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.posing import posed_vertices
from warpprior.scene import Camera, Poses
from warpprior.scenes.objects import box
from warpprior.scenes.observe import Actor, Backdrop, Light, cast_actors

if TYPE_CHECKING:
    from warpprior.scenes.head_camera import HeadView

HAND_CLEARANCE = 0.068  # height of the hand's middle above the table, at least [m]
WANTED_VISIBILITY = 0.72  # share of the object's pixels that the hand leaves visible
LEAST_VISIBILITY = 0.5  # in any frame looked at
_VISIBILITY_SPREAD = 0.08
_DISTANCES = np.arange(0.55, 1.26, 0.05)  # [m]
_TABLE_WIDTH, _TABLE_THICKNESS = 1.6, 0.04  # [m]
_OFF_STAGE = 0.05  # share of the picture kept free around the object


class View:
    """A camera that stands still: camera_from_world."""

    def __init__(self, eye: np.ndarray, target: np.ndarray):
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        self.eye = eye
        self.rotation = Rotation.from_matrix(np.stack([right, np.cross(forward, right), forward]))

    @classmethod
    def of(cls, eye: np.ndarray, rotation: Rotation) -> View:
        """From where, and turned how: camera_from_world."""
        view = cls.__new__(cls)
        view.eye, view.rotation = eye, rotation
        return view

    def sees(self, points: np.ndarray) -> np.ndarray:
        """Points of the world (frame, point, 3) in the camera frame."""
        return self.rotation.apply((points - self.eye).reshape(-1, 3)).reshape(points.shape)

    def poses(self, position, rotation: Rotation, joints) -> Poses:
        """Poses in the camera frame of a motion in the world (frame, ...)."""
        placed = self.rotation.apply(np.asarray(position, dtype=float) - self.eye)
        return Poses(placed, (self.rotation * rotation).as_quat(), np.asarray(joints, dtype=float))


@dataclass(frozen=True, eq=False)
class Track:
    """World motion of a body.

    Attributes:
        body: the body.
        position: of its root (frame, 3) [m].
        rotation: world_from_root, one per frame.
        joints: (frame, coordinate).
    """

    body: Body
    position: np.ndarray
    rotation: Rotation
    joints: np.ndarray

    def frames(self, chosen) -> Track:
        """The same at some of the frames."""
        return Track(self.body, self.position[chosen], self.rotation[chosen], self.joints[chosen])

    def poses(self, view: View | HeadView) -> Poses:
        """The same in the camera frame."""
        return view.poses(self.position, self.rotation, self.joints)

    def points(self) -> np.ndarray:
        """Some of the surface's vertices in all frames (point, 3) [m]."""
        chosen = slice(None, None, max(1, self.body.vertex_count // 200))
        if self.body.is_rigid:
            vertices = self.body.vertices[chosen]
            pairs = zip(self.rotation, self.position, strict=True)
            return np.concatenate([rotation.apply(vertices) + position for rotation, position in pairs])
        poses = Poses(self.position, self.rotation.as_quat(), self.joints)
        return posed_vertices(self.body, poses)[:, chosen].reshape(-1, 3).astype(float)


def choose_view(
    camera: Camera,
    hands: Sequence[Track],
    thing: Track,
    heading: float,
    random: np.random.Generator,
    *,
    framed: Sequence[Track] = (),
    distances: np.ndarray = _DISTANCES,
    visibility: float = WANTED_VISIBILITY,
) -> View:
    """A view that keeps the object in the picture and shows most of it past the hands.

    Args:
        camera: the camera, for its field of view.
        hands: what may hide the object.
        thing: the object.
        heading: direction out of the palm about the world's z [rad].
        random: chooses among views that are equally good.
        framed: what else must be in the picture.
        distances: from the middle of the object's path, tried in this order [m].
        visibility: share of the object's pixels to be left visible.
    """
    target = 0.5 * (thing.position.min(axis=0) + thing.position.max(axis=0))
    moments = np.unique((np.array([0.05, 0.15, 0.4, 0.7, 1.0]) * (len(thing.position) - 1)).astype(int))
    small = Camera(camera.width // 4, camera.height // 4, camera.fx / 4, camera.fy / 4, camera.cx / 4, camera.cy / 4)
    azimuths = heading + np.radians(np.arange(-150, 151, 20)) + np.radians(random.uniform(-10.0, 10.0))
    elevation = np.radians(random.uniform(15.0, 35.0))
    points = np.concatenate([track.points() for track in (thing, *framed)])
    views = []
    for azimuth in azimuths:
        outward = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        views.append(_close_in(camera, points, target, outward, distances))
    tracks = [track.frames(moments) for track in (thing, *hands)]
    together = [Actor(track.body, 2 - min(k, 1), _seen(track, views)) for k, track in enumerate(tracks)]
    seen = (cast_actors(small, together).labels == 2).sum(axis=(1, 2))
    whole = np.maximum((cast_actors(small, together[:1]).labels == 2).sum(axis=(1, 2)), 1)
    visible = (seen / whole).reshape(len(views), -1)
    error = np.maximum(np.abs(visible.mean(axis=1) - visibility) - 0.05, 0.0) + 2.0 * np.maximum(
        LEAST_VISIBILITY - visible.min(axis=1), 0.0
    )
    good = np.flatnonzero(error < error.min() + _VISIBILITY_SPREAD)
    return views[random.choice(good)]


def _seen(track: Track, views: Sequence[View]) -> Poses:
    """Poses of a body in one view after the other."""
    poses = [track.poses(view) for view in views]
    fields = ("position", "rotation", "joints")
    position, rotation, joints = (np.concatenate([getattr(p, name) for p in poses]) for name in fields)
    return Poses(position, rotation, joints)


def _close_in(camera: Camera, points: np.ndarray, target: np.ndarray, outward: np.ndarray, distances) -> View:
    """The nearest view along a direction that has all points in the picture."""
    for distance in distances:
        view = View(target + distance * outward, target)
        local = view.rotation.apply(points - view.eye)
        u = (camera.fx * local[:, 0] / local[:, 2] + camera.cx) / camera.width
        v = (camera.fy * local[:, 1] / local[:, 2] + camera.cy) / camera.height
        inside = (np.minimum(u, v) > _OFF_STAGE) & (np.maximum(u, v) < 1.0 - _OFF_STAGE) & (local[:, 2] > 0.1)
        if inside.all():
            return view
    return view


def world_light() -> np.ndarray:
    """Direction to the light in the world."""
    direction = np.array([0.45, -0.35, 1.0])
    return direction / np.linalg.norm(direction)


def camera_light(view: View, light: np.ndarray) -> Light:
    return Light(toward=tuple(view.rotation.apply(light)), ambient=0.35)


def build_backdrop(
    camera: Camera,
    view: View,
    table_height: float,
    pedestal: tuple[float, float] | None,
    light: Light,
    *,
    width: float = _TABLE_WIDTH,
):
    """Picture and depth of a table, or of a floor, and of a pedestal.

    Args:
        camera, view: what takes the picture.
        table_height: of its top [m].
        pedestal: width and height [m]; None without one.
        light: in the camera frame.
        width: of the table [m].
    """
    board = box("table", size=(width, width, _TABLE_THICKNESS), spacing=width / 32)
    stands = [(_tinted(board, (0.46, 0.36, 0.27), 0.025), table_height - 0.5 * _TABLE_THICKNESS)]
    if pedestal is not None:
        side, height = pedestal
        block = _tinted(box("pedestal", size=(side, side, height), spacing=0.02), (0.58, 0.58, 0.56), 0.02)
        stands.append((block, table_height + 0.5 * height))
    actors = [Actor(body, 1, view.poses([[0.0, 0.0, z]], Rotation.identity(1), np.zeros((1, 0)))) for body, z in stands]
    wall = np.linspace(0.62, 0.80, camera.height)[:, None, None] * np.array([0.86, 0.91, 1.0])
    wall = np.ascontiguousarray(np.broadcast_to(wall, (camera.height, camera.width, 3)), dtype=np.float32)
    empty = Backdrop(np.zeros(wall.shape[:2], np.float32), wall)
    picture = cast_actors(camera, actors, backdrop=empty, light=light)
    assert picture.colors is not None  # there is a light
    return Backdrop(picture.depths[0], picture.colors[0])


def _tinted(body: Body, color, spread: float) -> Body:
    shades = np.random.default_rng(0).normal(0.0, spread, size=(body.vertex_count, 1))
    colors = np.clip(np.array(color) * (1.0 + 2.0 * shades), 0.0, 1.0)
    return rigid_body(body.name, body.vertices, body.faces, colors=colors.astype(np.float32))
