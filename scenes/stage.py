"""Stage and camera of a simulated scene: a table, a pedestal where one is needed, light, and where to look from."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, rigid_body
from warpprior.scene import Camera, Poses
from warpprior.scenes.objects import box
from warpprior.scenes.observe import Actor, Backdrop, Light, cast_actors
from warpprior.scenes.play import Motion

HAND_CLEARANCE = 0.068  # height of the hand's middle above the table, at least [m]
WANTED_VISIBILITY = 0.72  # share of the object's pixels that the hand leaves visible
LEAST_VISIBILITY = 0.5  # in any frame looked at
_VISIBILITY_SPREAD = 0.08
_DISTANCES = np.arange(0.55, 1.26, 0.05)  # [m]
_TABLE = (1.6, 1.6, 0.04)  # [m]
_OFF_STAGE = 0.05  # share of the picture kept free around the object


class View:
    """A camera that stands still: camera_from_world."""

    def __init__(self, eye: np.ndarray, target: np.ndarray):
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        self.eye = eye
        self.rotation = Rotation.from_matrix(np.stack([right, np.cross(forward, right), forward]))

    def poses(self, position, rotation: Rotation, joints) -> Poses:
        """Poses in the camera frame of a motion in the world (frame, ...)."""
        placed = self.rotation.apply(np.asarray(position, dtype=float) - self.eye)
        return Poses(placed, (self.rotation * rotation).as_quat(), np.asarray(joints, dtype=float))


def choose_view(
    camera: Camera,
    hand: Body,
    model: Body,
    motion: Motion,
    rest: Rotation,
    heading: float,
    random: np.random.Generator,
) -> View:
    """A view that keeps the object in the picture and shows most of it past the hand.

    Args:
        camera: the camera, for its field of view.
        hand: the hand, and
        model: the object, in its own frame.
        motion: of both in the world.
        rest: world_from_object while it stands.
        heading: direction out of the palm about the world's z [rad].
        random: chooses among views that are equally good.
    """
    target = 0.5 * (motion.object_position.min(axis=0) + motion.object_position.max(axis=0))
    moments = np.unique((np.array([0.05, 0.15, 0.4, 0.7, 1.0]) * (len(motion.held) - 1)).astype(int))
    small = Camera(camera.width // 4, camera.height // 4, camera.fx / 4, camera.fy / 4, camera.cx / 4, camera.cy / 4)
    azimuths = heading + np.radians(np.arange(-150, 151, 20)) + np.radians(random.uniform(-10.0, 10.0))
    elevation = np.radians(random.uniform(15.0, 35.0))
    views, hands, objects = [], [], []
    for azimuth in azimuths:
        outward = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
        )
        view = _close_in(camera, model, motion, rest, target, outward)
        views.append(view)
        hands.append(view.poses(motion.hand_position[moments], motion.hand_rotation[moments], motion.joints[moments]))
        turned = motion.object_rotation[moments] * rest
        objects.append(view.poses(motion.object_position[moments], turned, np.zeros((len(moments), 0))))
    together = [Actor(hand, 1, _joined(hands)), Actor(model, 2, _joined(objects))]
    seen = (cast_actors(small, together).labels == 2).sum(axis=(1, 2))
    whole = np.maximum((cast_actors(small, together[1:]).labels == 2).sum(axis=(1, 2)), 1)
    visible = (seen / whole).reshape(len(views), -1)
    error = np.maximum(np.abs(visible.mean(axis=1) - WANTED_VISIBILITY) - 0.05, 0.0) + 2.0 * np.maximum(
        LEAST_VISIBILITY - visible.min(axis=1), 0.0
    )
    good = np.flatnonzero(error < error.min() + _VISIBILITY_SPREAD)
    return views[random.choice(good)]


def _joined(poses: list[Poses]) -> Poses:
    return Poses(*(np.concatenate([getattr(p, name) for p in poses]) for name in ("position", "rotation", "joints")))


def _close_in(camera, model, motion, rest, target, outward) -> View:
    """The nearest view along a direction that has the whole object in the picture in every frame."""
    vertices = model.vertices[:: max(1, len(model.vertices) // 200)]
    points = np.concatenate(
        [r.apply(vertices) + x for r, x in zip(motion.object_rotation * rest, motion.object_position, strict=True)]
    )
    for distance in _DISTANCES:
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


def build_backdrop(camera: Camera, view: View, table_height: float, pedestal: tuple[float, float] | None, light: Light):
    """Picture and depth of a table, its top at ``table_height``, and of a pedestal of given width and height [m]."""
    table = _tinted(box("table", size=_TABLE, spacing=0.05), (0.46, 0.36, 0.27), 0.025)
    stands = [(table, table_height - 0.5 * _TABLE[2])]
    if pedestal is not None:
        width, height = pedestal
        block = _tinted(box("pedestal", size=(width, width, height), spacing=0.02), (0.58, 0.58, 0.56), 0.02)
        stands.append((block, table_height + 0.5 * height))
    actors = [Actor(body, 1, view.poses([[0.0, 0.0, z]], Rotation.identity(1), np.zeros((1, 0)))) for body, z in stands]
    wall = np.linspace(0.62, 0.80, camera.height)[:, None, None] * np.array([0.86, 0.91, 1.0])
    wall = np.ascontiguousarray(np.broadcast_to(wall, (camera.height, camera.width, 3)), dtype=np.float32)
    empty = Backdrop(np.zeros(wall.shape[:2], np.float32), wall)
    picture = cast_actors(camera, actors, backdrop=empty, light=light)
    return Backdrop(picture.depths[0], picture.colors[0])


def _tinted(body: Body, color, spread: float) -> Body:
    shades = np.random.default_rng(0).normal(0.0, spread, size=(body.vertex_count, 1))
    colors = np.clip(np.array(color) * (1.0 + 2.0 * shades), 0.0, 1.0)
    return rigid_body(body.name, body.vertices, body.faces, colors=colors.astype(np.float32))
