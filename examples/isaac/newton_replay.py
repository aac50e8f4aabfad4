"""A result in Newton: is every body where poses.npz has it, does the hand catch a ball, does it hold the object?

Command: python examples/isaac/newton_replay.py out/demo/scene out/demo/result

Needs ``pip install ".[newton,cv]"``, in an environment of its own: Newton wants an older OpenUSD than ours.

Newton reads a stage at the default time alone, which is the first frame.  Motion is applied in time by us: before each
step, the bodies that the stage calls kinematic get the pose and the velocity that its samples give them then.

Bones that go exactly where a motion was seen do not hold anything: they touch it, and do not press.  ``replay`` has a
spring carry each bone instead, towards its place in the motion, moved into the object by a few millimetres where it
touches it.  What holds the object is friction alone, and how far it strays says what the motion is worth; that of the
truth, replayed in the same way, says what this way of replaying is worth.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import newton
import numpy as np
import warp as wp
from newton.solvers import SolverMuJoCo
from pxr import Usd, UsdGeom, UsdPhysics
from scipy.spatial.transform import Rotation

import warpprior
from warpprior.bodies import link_transforms, posed_vertices
from warpprior.geometry import signed_distance
from warpprior.usd import prim_name

STEPS = 40  # of physics in a frame
SPRING = 1500.0  # of a bone [N/m]; critically damped
ARM = 0.02  # at which it resists being turned [m]
LEAST_MASS = 0.05  # of what a spring carries [kg]: lighter bones would swing too fast for the steps
PRESS = 0.006  # how far into what it touches a bone is sent [m]
TOUCH = 0.004  # nearer than this, it touches [m]
MOVED = 0.005  # farther than this from where it was first, it has been lifted [m]
LOST = 20.0  # farther than this from its motion, it is not held any more [mm]
SETTLE = 0.3  # how long bones press before the object is let go [s]
BALL_RADIUS, BALL_MASS, BALL_HZ = 0.02, 0.05, 1200  # [m], [kg], steps of physics in a second
GRAVITY = np.array([0.0, 0.0, -9.81])  # [m/s^2]
OPENCV_FROM_USD = Rotation.from_euler("x", 180.0, degrees=True)  # axes of cameras


@dataclass(frozen=True, eq=False)
class Motion:
    """World poses of rigid bodies over time.

    Attributes:
        paths: their prims.
        positions: (frame, body, 3) [m].
        rotations: unit quaternions xyzw (frame, body, 4).
        fps: frames per second.
    """

    paths: tuple[str, ...]
    positions: np.ndarray
    rotations: np.ndarray
    fps: float

    def at(self, frame: float) -> tuple[np.ndarray, Rotation]:
        """Positions and rotations between two frames; beyond the last, those of the last."""
        first = int(np.clip(np.floor(frame), 0, len(self.positions) - 1))
        second, share = min(first + 1, len(self.positions) - 1), frame - first
        start, end = (Rotation.from_quat(self.rotations[one]) for one in (first, second))
        turn = (end * start.inv()).as_rotvec()
        shift = self.positions[second] - self.positions[first]
        return self.positions[first] + share * shift, Rotation.from_rotvec(share * turn) * start

    def velocity(self, frame: float, centers: np.ndarray) -> np.ndarray:
        """Velocities of their centres of mass [m/s] and turning [rad/s] until the next step, in the world (body, 6)."""
        (here, turned), (there, then) = self.at(frame), self.at(frame + 1.0 / STEPS)
        centers = centers[: len(here)]
        rate = STEPS * self.fps
        linear = rate * (there + then.apply(centers) - here - turned.apply(centers))
        return np.concatenate([linear, rate * (then * turned.inv()).as_rotvec()], axis=1)


def read_motion(stage: Usd.Stage, paths: tuple[str, ...]) -> Motion:
    """What the stage's samples say of some prims at each frame."""
    codes = np.arange(stage.GetStartTimeCode(), stage.GetEndTimeCode() + 0.5)
    places = np.empty((len(codes), len(paths), 7))
    for frame, code in enumerate(codes):
        cache = UsdGeom.XformCache(Usd.TimeCode(float(code)))
        for index, path in enumerate(paths):
            matrix = cache.GetLocalToWorldTransform(stage.GetPrimAtPath(path))
            turn = matrix.ExtractRotationQuat()
            places[frame, index] = [*matrix.ExtractTranslation(), *turn.GetImaginary(), turn.GetReal()]
    return Motion(paths, places[..., :3], places[..., 3:], stage.GetTimeCodesPerSecond())


def camera_in_world(stage: Usd.Stage) -> tuple[np.ndarray, Rotation]:
    """Where the camera of the stage is at each frame, in OpenCV axes: positions (frame, 3) and rotations."""
    motion = read_motion(stage, ("/World/Camera",))
    return motion.positions[:, 0], Rotation.from_quat(motion.rotations[:, 0]) * OPENCV_FROM_USD


def expected(stage: Usd.Stage, scene: warpprior.Scene, poses: dict, paths: tuple[str, ...]) -> np.ndarray:
    """Positions of the rigid bodies by ``poses.npz`` and the models alone (frame, body, 3) [m]."""
    at, turn = camera_in_world(stage)
    found = np.full((len(at), len(paths), 3), np.nan)
    for one in scene.bodies:
        places = link_transforms(one.body, poses[one.name]).astype(np.float64)
        for link, name in enumerate(one.body.link_names):
            below = f"/World/{prim_name(one.name)}"
            names = (
                (below,) if one.body.is_rigid else (f"{below}/{prim_name(name)}", f"{below}/Joints/{prim_name(name)}")
            )
            for path in set(names) & set(paths):
                found[:, paths.index(path)] = turn.apply(places[:, link, :3]) + at
    return found


class World:
    """A stage in Newton, its bodies by their prims.

    Args:
        stage: as exported: every body kinematic.
        free: what is to be moved by forces instead; needs no edit of the file.
        without: prims to leave out.
        ball: where a ball is, if there is to be one [m].
        gravity: None takes the stage's [m/s^2].
    """

    def __init__(self, stage: Usd.Stage, *, free: bool = False, without=(), ball=None, gravity=None):
        with Usd.EditContext(stage, stage.GetSessionLayer()):
            for prim in stage.Traverse():
                if prim.HasAPI(UsdPhysics.RigidBodyAPI):
                    UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Set(not free)
        builder = newton.ModelBuilder()
        SolverMuJoCo.register_custom_attributes(builder)
        found = builder.add_usd(stage, load_visual_shapes=False, ignore_paths=list(without))
        self.paths = tuple(sorted(found["path_body_map"], key=found["path_body_map"].get))
        hands = [hand for hand, bones in _groups(self.paths).items() if len(bones) > 1]
        for shape, body in enumerate(builder.shape_body):  # bones overlap at their joints: they pass through each other
            hand = _owner(self.paths[body]) if body >= 0 else None
            if hand in hands:
                builder.shape_collision_group[shape] = -1 - hands.index(hand)
        for body in range(builder.body_count if free else 0):
            if _owner(self.paths[body]) in hands:  # light and thin bones would swing too fast for the steps
                builder.body_mass[body] = mass = max(builder.body_mass[body], LEAST_MASS)
                builder.body_inertia[body] = wp.mat33(np.eye(3) * mass * ARM**2)
                builder.body_inv_mass[body] = 1.0 / mass
                builder.body_inv_inertia[body] = wp.mat33(np.eye(3) / (mass * ARM**2))
        if ball is not None:
            density = BALL_MASS / (4.0 / 3.0 * np.pi * BALL_RADIUS**3)
            cloth = newton.ModelBuilder.ShapeConfig(density=density, mu=1.0, mu_rolling=BALL_RADIUS, mu_torsional=0.01)
            builder.add_shape_sphere(
                builder.add_body(xform=(*ball, 0, 0, 0, 1)),
                radius=BALL_RADIUS,
                cfg=cloth,
                custom_attributes={"mujoco:condim": 6},
            )
        self.model = builder.finalize("cpu")
        if gravity is not None:
            self.model.set_gravity(tuple(map(float, gravity)))
        self.solver = SolverMuJoCo(
            self.model, use_mujoco_cpu=True, cone="elliptic", impratio=10.0, njmax=4000, nconmax=1000
        )
        self.states = [self.model.state(), self.model.state()]
        self.control = self.model.control()
        self.centers = self.model.body_com.numpy().astype(np.float64)
        self.mass = self.model.body_mass.numpy().astype(np.float64)
        self.inertia = self.model.body_inertia.numpy().astype(np.float64)

    @property
    def poses(self) -> np.ndarray:
        """World poses of all bodies, the ball last: positions [m], quaternions xyzw (body, 7)."""
        return self.states[0].body_q.numpy().astype(np.float64)

    @property
    def velocities(self) -> np.ndarray:
        """Of centres of mass [m/s], and turning [rad/s] (body, 6)."""
        return self.states[0].body_qd.numpy().astype(np.float64)

    def place(self, position: np.ndarray, rotation: Rotation, velocities: np.ndarray) -> None:
        """Put the first bodies somewhere, moving at those velocities; a kinematic one stays there for the next step."""
        state, count = self.states[0], len(position)
        poses = np.concatenate([position, rotation.as_quat()], axis=1)
        state.body_q.assign(np.concatenate([poses, self.poses[count:]]).astype(np.float32))
        state.body_qd.assign(np.concatenate([velocities, self.velocities[count:]]).astype(np.float32))
        newton.eval_ik(self.model, state, state.joint_q, state.joint_qd)

    def step(self, dt: float, forces: np.ndarray | None = None) -> None:
        """Let a moment pass, with forces at centres of mass [N] and torques [N m], in the world (body, 6)."""
        self.states[0].clear_forces()
        if forces is not None:
            self.states[0].body_f.assign(forces.astype(np.float32))
        self.solver.step(self.states[0], self.states[1], self.control, None, dt)
        self.states.reverse()


def check_placement(stage: Usd.Stage, scene: warpprior.Scene, poses: dict) -> dict[str, float]:
    """How far bodies are from where ``poses.npz`` has them, as loaded and as they move, and CPU time to load it."""
    start = time.process_time()
    builder = newton.ModelBuilder()
    loaded = builder.add_usd(stage)
    model = builder.finalize("cpu")
    took = time.process_time() - start
    paths = tuple(sorted(loaded["path_body_map"], key=loaded["path_body_map"].get))
    right = expected(stage, scene, poses, paths)
    colliding = {body for body, flags in zip(builder.shape_body, builder.shape_flags, strict=True) if _collides(flags)}
    at_first = np.linalg.norm(model.body_q.numpy()[:, :3] - right[0], axis=1)
    world, motion, worst = World(stage), read_motion(stage, paths), 0.0
    for frame, places in enumerate(right):
        world.place(*motion.at(frame), motion.velocity(frame, world.centers))
        world.step(1.0 / (motion.fps * STEPS))
        worst = max(worst, float(np.linalg.norm(world.poses[:, :3] - places, axis=1).max()))
    return {
        "bodies": len(paths),
        "bodies_without_colliders": len(paths) - len(colliding),
        "load_s": took,
        "default_mm": 1e3 * float(at_first.max()),
        "in_time_mm": 1e3 * worst,
    }


def drop_ball(stage: Usd.Stage, hand: str, held: str, *, seconds: float = 1.0) -> dict[str, float]:
    """Drop a soft ball, as a bean bag is, from 2 cm onto the palm of a hand, from the side of what it holds.

    The hand stands as in the frame in which its palm (its first body) is nearest to the object, the object is gone, and
    gravity is turned so that the palm lies level, however it was held.

    Returns:
        how far the ball is from where it began [mm], and how fast it still is [mm/s].
    """
    paths = World(stage).paths
    palm = next(path for path in paths if _owner(path) == hand)
    motion = read_motion(stage, (held, palm))
    own = [np.array(UsdPhysics.MassAPI(stage.GetPrimAtPath(path)).GetCenterOfMassAttr().Get()) for path in motion.paths]
    centers = np.array([place + turn.apply(own) for place, turn in map(motion.at, range(len(motion.positions)))])
    frame = int(np.argmin(np.linalg.norm(centers[:, 0] - centers[:, 1], axis=1)))
    turn = motion.at(frame)[1][1]
    normal, height = _palm(stage, palm, turn.inv().apply(centers[frame, 0] - centers[frame, 1]), own[1])
    start = centers[frame, 1] + (height + BALL_RADIUS + 0.02) * turn.apply(normal)
    others = [f"{path}(/.*)?$" for path in _groups(paths) if path != hand]
    world = World(stage, without=others, ball=start, gravity=-9.81 * turn.apply(normal))
    world.place(*read_motion(stage, world.paths).at(frame), np.zeros((len(world.paths), 6)))
    for _ in range(round(seconds * BALL_HZ)):
        world.step(1.0 / BALL_HZ)
    return {
        "ball_moved_mm": 1e3 * float(np.linalg.norm(world.poses[-1, :3] - start)),
        "ball_speed_mm_s": 1e3 * float(np.linalg.norm(world.velocities[-1, :3])),
    }


def _palm(stage: Usd.Stage, path: str, towards: np.ndarray, center: np.ndarray) -> tuple[np.ndarray, float]:
    """Which way the colliders of a body face on one side, in its own frame, and how far they reach from its centre."""
    normal, corners = np.zeros(3), []
    for prim in Usd.PrimRange(stage.GetPrimAtPath(path)):
        if prim.HasAPI(UsdPhysics.CollisionAPI):
            points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get(), dtype=np.float64)
            triangles = points[np.array(UsdGeom.Mesh(prim).GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)]
            areas = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
            facing = areas @ towards > 0.6 * np.linalg.norm(areas, axis=1) * np.linalg.norm(towards)
            normal += areas[facing].sum(axis=0)
            corners.append(points)
    if not corners or not normal.any():  # nothing to fall onto
        return towards / np.linalg.norm(towards), 0.0
    normal /= np.linalg.norm(normal)
    return normal, float(((np.concatenate(corners) - center) @ normal).max())


def pressing(stage: Usd.Stage, scene: warpprior.Scene, poses: dict, held: str, paths: tuple[str, ...]) -> np.ndarray:
    """How each bone is moved so that it presses on the object (frame, body, 3) [m]; zero where it does not touch it."""
    target = next(one for one in scene.bodies if one.name == held)
    _, turn = camera_in_world(stage)
    shifts = np.zeros((scene.frame_count, len(paths), 3))
    for one in scene.bodies:
        if one.body.is_rigid:
            continue
        skin = posed_vertices(one.body, poses[one.name])
        found = signed_distance(target.body, skin, poses[held], reach_m=0.05)
        link = one.body.skin_links[np.arange(len(one.body.vertices)), np.argmax(one.body.skin_weights, axis=1)]
        for number, name in enumerate(one.body.link_names):
            own = np.flatnonzero(link == number)
            below = f"/World/{prim_name(one.name)}"
            path = next(
                (p for p in paths if p in (f"{below}/{prim_name(name)}", f"{below}/Joints/{prim_name(name)}")), None
            )
            if path is None or len(own) == 0:
                continue
            nearest = own[np.argmin(found.distance[:, own], axis=1)]
            frames = np.arange(scene.frame_count)
            gap, normal = found.distance[frames, nearest], found.normal[frames, nearest]
            way = -(PRESS + np.maximum(gap, 0.0))[:, None] * turn.apply(normal)
            shifts[:, paths.index(path)] = np.where((gap < TOUCH)[:, None], way, 0.0)
    return shifts


def held_frames(shifts: np.ndarray, positions: np.ndarray) -> range:
    """The longest stretch of frames in which bones press on the object from two sides, from where it has been moved.

    Args:
        shifts: what :func:`pressing` gives (frame, body, 3).
        positions: of the object (frame, 3) [m].
    """
    best = span = range(0)
    for frame, rows in enumerate(shifts):
        ways = rows[np.linalg.norm(rows, axis=1) > 0.0]
        moved = np.linalg.norm(positions[frame] - positions[0]) > MOVED
        if moved and len(ways) > 1 and np.min(ways @ ways.T) < 0.0:
            span = range(span.start if len(span) else frame, frame + 1)
            best = max(best, span, key=len)
        else:
            span = range(0)
    return best


def prepared(stage: Usd.Stage, scene: warpprior.Scene, poses: dict, held: str) -> tuple[Motion, range]:
    """The motion with what touches the object moved into it, and the frames in which it is held."""
    motion = read_motion(stage, World(stage).paths)
    shifts = pressing(stage, scene, poses, held, motion.paths)
    thing = motion.paths.index(f"/World/{prim_name(held)}")
    return replace(motion, positions=motion.positions + shifts), held_frames(shifts, motion.positions[:, thing])


def replay(stage: Usd.Stage, motion: Motion, held: str, frames: range) -> dict[str, float]:
    """Have springs carry the bones through some frames, and friction the object.

    Args:
        stage: the stage.
        motion: where springs pull; see :func:`prepared`.
        held: the object, which springs hold at the first frame until the bones have come to press.
        frames: that are replayed.

    Returns:
        how far the object strays from its own motion: at worst, in the last frame, and turned [mm, deg]; and for how
        many frames it is held, which is within 2 cm.
    """
    world = World(stage, free=True)
    thing = world.paths.index(f"/World/{prim_name(held)}")
    stiffness = np.full(len(world.paths), SPRING)
    world.place(*motion.at(frames.start), np.zeros((len(world.paths), 6)))
    dt, strayed = 1.0 / (motion.fps * STEPS), []
    for step in range(-round(SETTLE / dt), STEPS * (len(frames) - 1) + 1):
        now = frames.start + max(step, 0) / STEPS
        position, rotation = motion.at(now)
        velocity = motion.velocity(now, world.centers) * (step >= 0)
        if step == 0:
            stiffness[thing] = 0.0  # from now on friction has to hold it
        if step >= 0 and step % STEPS == 0:
            strayed.append(_apart(world.poses[thing], position[thing], rotation[thing], world.centers[thing]))
        world.step(dt, _springs(world, stiffness, position, rotation, velocity))
    far, turned = np.array(strayed).T
    lost = np.flatnonzero(far > LOST)
    return {
        "most_mm": float(far.max()),
        "last_mm": float(far[-1]),
        "most_deg": float(turned.max()),
        "held": int(lost[0]) if len(lost) else len(frames),
    }


def _springs(
    world: World, stiffness: np.ndarray, position: np.ndarray, rotation: Rotation, velocity: np.ndarray
) -> np.ndarray:
    """Forces and torques (body, 6) that pull bodies to poses, critically damped, and carry what they pull."""
    here, speed = world.poses, world.velocities
    turned = Rotation.from_quat(here[:, 3:])
    off = position + rotation.apply(world.centers) - here[:, :3] - turned.apply(world.centers)
    damping = 2.0 * np.sqrt(stiffness * world.mass)[:, None]
    force = stiffness[:, None] * off + damping * (velocity[:, :3] - speed[:, :3])
    force -= np.where(stiffness > 0.0, world.mass, 0.0)[:, None] * GRAVITY
    bend = (rotation * turned.inv()).as_rotvec()
    pulse = np.sqrt(stiffness / world.mass)[:, None]
    inertia = np.linalg.eigvalsh(world.inertia)[:, :1]
    torque = inertia * (pulse**2 * bend + 2.0 * pulse * (velocity[:, 3:] - speed[:, 3:]))
    return np.concatenate([force, torque], axis=1)


def _apart(here: np.ndarray, place: np.ndarray, turn: Rotation, center: np.ndarray) -> tuple[float, float]:
    """How far a body is from its place: of its centre of mass [mm], and turned [deg]."""
    turned = Rotation.from_quat(here[3:])
    off = here[:3] + turned.apply(center) - place - turn.apply(center)
    return 1e3 * float(np.linalg.norm(off)), float(np.degrees((turned * turn.inv()).magnitude()))


def _owner(path: str) -> str:
    """``/World/hand`` of ``/World/hand/Joints/wrist``."""
    return "/".join(path.split("/")[:3])


def _groups(paths: tuple[str, ...]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(_owner(path), []).append(path)
    return groups


def _collides(flags: int) -> bool:
    return bool(flags & newton.ShapeFlags.COLLIDE_SHAPES)


def examine(stage: Usd.Stage, scene: warpprior.Scene, poses: dict, truth: Usd.Stage | None = None) -> dict:
    """All of the above about one stage; ``truth`` is the stage of the true motion, replayed in the same frames."""
    found: dict = {"placement": check_placement(stage, scene, poses), "ball": {}, "replay": {}}
    hands = [one.name for one in scene.bodies if one.body.link_count > 1]
    objects = [one.name for one in scene.bodies if one.body.is_rigid]
    for hand in hands if objects else []:
        found["ball"][hand] = drop_ball(stage, f"/World/{prim_name(hand)}", f"/World/{prim_name(objects[0])}")
    for name in objects if hands else []:
        motion, frames = prepared(stage, scene, poses, name)
        right, held = (None, frames) if truth is None else prepared(truth, scene, true_motion(scene), name)
        both = range(max(frames.start, held.start), min(frames.stop, held.stop))
        found["replay"][name] = about = {"frames": [both.start, both.stop], "held_in_truth": len(held)}
        if len(both) > 1:
            about["refined"] = replay(stage, motion, name, both)
            if truth is not None and right is not None:
                about["truth"] = replay(truth, right, name, both)
    return found


def true_motion(scene: warpprior.Scene) -> dict:
    """The true poses of every body; of a known one, those that are given."""
    return {one.name: one.truth if one.truth is not None else one.initial for one in scene.bodies}


def main() -> None:
    """Read a scene folder and its result, examine the stage, and print what was found."""
    parser = argparse.ArgumentParser(description="Check and replay the stage of a result in Newton.")
    parser.add_argument("scene", help="scene folder")
    parser.add_argument("result", help="result folder of it, with scene.usdc and poses.npz")
    parser.add_argument("--json", help="write what was found here, too")
    args = parser.parse_args()

    scene = warpprior.load_scene(args.scene)
    poses = warpprior.load_poses(Path(args.result) / "poses.npz", [one.body for one in scene.bodies])
    stage = Usd.Stage.Open(str(Path(args.result) / "scene.usdc"))
    known = all(one.truth is not None or one.known for one in scene.bodies)
    with tempfile.TemporaryDirectory() as folder:
        if known:
            warpprior.export_usd(scene, true_motion(scene), Path(folder) / "truth.usdc")
        truth = Usd.Stage.Open(f"{folder}/truth.usdc") if known else None
        found = examine(stage, scene, poses, truth=truth)
    for what, values in found.items():
        print(what, json.dumps(values))
    if args.json:
        Path(args.json).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
