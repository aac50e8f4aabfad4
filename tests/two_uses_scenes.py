"""Small scenes in which every term has something to say, and what the float64 twin of a bound term is given."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import trimesh
import warp as wp
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from tests.body_samples import MANO_PARENTS, make_ball_body, make_tree_body
from tests.estimator_scenes import make_arm, make_motion, make_scene
from tests.fit_samples import wander, with_keypoints
from tests.reference import two_uses as twin
from tests.reference.contact_map import Distances
from tests.reference.contour import Contour as Crossings
from tests.reference.image import color_axes
from warpprior.bodies import rigid_body
from warpprior.bodies.body import PosePrior
from warpprior.bodies.contact_map import ContactMap
from warpprior.bodies.size_prior import SizePrior
from warpprior.render.images import render_depth
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.system.stage import Stage

FRAMES = 4
CAMERA = Camera(160, 120, 250.0, 240.0, 80.3, 60.1)
TIMES = np.array([0.0, 1.0, 2.0, 4.0]) / 30.0
STAGE = Stage(
    reach_px=6.0,
    reach_factor=0.5,
    contact_distance_m=0.004,
    contact_softness_m=0.003,
    sigma_slip_m_s=0.05,
    free_normal=0.5,
    image_blur_px=2.0,
)


def cuboid(name, size):
    """A box of eight vertices [m]."""
    mesh = trimesh.creation.box(size)
    return rigid_body(name, np.asarray(mesh.vertices), np.asarray(mesh.faces))


def coarse_arm():
    """The arm of three links that bends, of 24 vertices, with keypoints at origins and vertices."""
    arm = make_arm(influences=2)
    parts = []
    for link in range(3):
        part = trimesh.creation.box((0.036, 0.014 + 0.004 * (2 - link), 0.012))
        part.apply_translation([0.04 * link + 0.02, 0.0, 0.0])
        parts.append(part)
    mesh = trimesh.util.concatenate(parts)
    links = np.repeat(np.arange(3), 8)
    plain = rigid_body("arm", np.asarray(mesh.vertices), np.asarray(mesh.faces))
    other = np.clip(np.where(mesh.vertices[:, 0] / 0.04 - links < 0.5, links - 1, links + 1), 0, 2)
    share = np.where(other == links, 0.0, 0.3)
    body = replace(
        arm,
        **{name: getattr(plain, name) for name in ("vertices", "faces", "shape_directions", "pose_directions")},
        skin_links=np.column_stack([links, other]).astype(np.int32),
        skin_weights=np.column_stack([1.0 - share, share]).astype(np.float32),
        lower=np.full(2, -0.2, dtype=np.float32),
        upper=np.full(2, 0.25, dtype=np.float32),
    )
    return with_keypoints(body)


def exact(motion):
    """The motion as float32 holds it."""
    values = {name: getattr(motion, name) for name in ("position", "rotation", "joints")}
    return replace(motion, **{name: np.asarray(v, dtype=np.float32).astype(float) for name, v in values.items()})


def jitter(motion, size, seed):
    """The motion with noise of its own in every frame: positions [m], ten times as much turns and joints [rad]."""
    random = np.random.default_rng(seed)
    position = motion.position + size * random.normal(size=motion.position.shape)
    joints = motion.joints + 10.0 * size * random.normal(size=motion.joints.shape)
    turns = Rotation.from_rotvec(10.0 * size * random.normal(size=position.shape))
    rotation = (Rotation.from_quat(motion.rotation) * turns).as_quat()
    return exact(replace(motion, position=position, rotation=rotation, joints=joints))


def touching_scene():
    """An arm that bends and lies a millimetre or two deep in a box; keypoints, boxes, depth, uneven times."""
    joints = np.column_stack([np.linspace(0.2, 0.35, FRAMES), np.linspace(-0.3, -0.1, FRAMES)])
    arm = make_motion((-0.06, 0.0, 0.45), (0.1, 0.2, 0.0), spin=(0.0, 0.0, 0.04), frames=FRAMES, joints=joints)
    box = make_motion((0.04, 0.03, 0.427), (0.1, 0.2, 0.0), drift=(0.002, 0.001, 0.001), frames=FRAMES)
    bodies = (coarse_arm(), cuboid("box", (0.06, 0.044, 0.032)))
    starts = jitter(arm, 0.001, 7), jitter(box, 0.001, 8)
    scene = make_scene(bodies, (arm, box), starts, camera=CAMERA)
    return observed(replace(scene, labels=None, timestamps=TIMES))


def known_in_touch(name):
    """The same with one of the two bodies known."""
    scene = touching_scene()
    bodies = tuple(replace(body, known=body.name == name) for body in scene.bodies)
    return replace(scene, bodies=bodies, keypoints2d={}, boxes={}, read_depth=None)


def sized_scene(name="box"):
    """The same where the size of a rigid body is estimated, too."""
    scene = touching_scene()
    bodies = tuple(replace(body, size=SizePrior() if body.name == name else None) for body in scene.bodies)
    return replace(scene, bodies=bodies)


def mapped_scene():
    """The same with maps of contact of either body on the other: touching, near, and not told."""
    scene, random, maps = touching_scene(), np.random.default_rng(2), []
    for body, other in (("arm", "box"), ("box", "arm")):
        count = scene.body(body).body.vertex_count
        distances = random.uniform(0.002, 0.03, (FRAMES, count))
        distances[:, ::3], distances[:, 1::5] = 0.0, np.nan
        maps.append(ContactMap(body, other, distances))
    return replace(scene, contact_maps=tuple(maps))


def tree_scene():
    """A tree of all joint types with a pose prior, whose coordinates leave their limits."""
    random = np.random.default_rng(3)
    tree = with_keypoints(make_tree_body(vertices=24, influences=2, shapes=0, pose_blend=False))
    count = tree.coordinate_count
    half = random.normal(size=(count, count))
    prior = PosePrior(0.1 * random.normal(size=count), half @ half.T + np.eye(count))
    tree = replace(
        tree, lower=np.full(count, -0.2, np.float32), upper=np.full(count, 0.3, np.float32), pose_prior=prior
    )
    motion = wander(tree, FRAMES, bend=0.7, speed=0.002, turn=0.03)
    body = SceneBody(tree, 1, False, motion, motion)
    return observed(Scene("tree", CAMERA, 30.0, (body,), timestamps=TIMES))


def observed(scene, error_px=4.0):
    """The scene with keypoints and boxes some pixels and depth some centimetres off; one outlier of each."""
    random = np.random.default_rng(5)
    keypoints, boxes = {}, {}
    problem = problem_of(scene, "cpu")
    for body in scene.bodies:
        screen = problem.motion.screen.numpy()[:, problem.motion.first_vertex(body.name) :][:, : body.body.vertex_count]
        sides = np.concatenate([screen.min(axis=1)[:, :2], screen.max(axis=1)[:, :2]], axis=1)
        boxes[body.name] = sides + error_px * random.normal(size=sides.shape)
        table = body.body.keypoints
        if table is not None:
            places = problem.surfaces.keypoint_places[body.name]
            points = stance_of(problem).start.places[:, places]
            seen = twin.project(points, *_camera(problem))
            seen = seen + error_px * random.normal(size=seen.shape)
            seen[-1, 2] += 60.0
            found = np.concatenate([seen, random.uniform(0.3, 1.0, (*seen.shape[:2], 1))], axis=2)
            found[0, 1, 2] = 0.0
            keypoints[body.name] = found
    depths = render_depth(scene, {body.name: body.initial for body in scene.bodies})
    depths = np.where(depths > 0.0, depths + 0.02 * random.normal(size=depths.shape), 0.0).astype(np.float32)
    return replace(scene, keypoints2d=keypoints, boxes=boxes, read_depth=lambda frame: depths[frame])


def seen_scene():
    """A box of many colours, with labels and pictures, that starts a pixel or two off."""
    random = np.random.default_rng(6)
    box = cuboid("box", (0.12, 0.07, 0.05))
    box = replace(box, colors=random.uniform(0.1, 0.9, (box.vertex_count, 3)).astype(np.float32))
    truth = make_motion((0.005, -0.004, 0.4), (0.4, 0.6, 0.2), drift=(0.004, 0.002, 0.003), frames=FRAMES)
    waves = gaussian_filter(random.normal(size=(FRAMES, CAMERA.height, CAMERA.width, 3)), (0, 4.0, 4.0, 0))
    pictures = np.round(255.0 * np.clip(0.5 + 3.0 * waves, 0.05, 0.95)).astype(np.uint8)
    scene = make_scene((box,), (truth,), (jitter(truth, 0.002, 4),), camera=CAMERA)
    return replace(scene, read_rgb=lambda frame: pictures[frame])


def swelling_scene(swell=0.002):
    """A hand of ball joints whose pose blend shapes move its vertices by ``swell`` [m] on average, with keypoints."""
    hand = make_ball_body(MANO_PARENTS, vertices=60, shapes=0)
    motion = wander(hand, FRAMES, bend=0.5)
    turns = Rotation.from_rotvec(motion.joints.reshape(-1, 3)).as_matrix() - np.eye(3)
    moves = np.einsum("vxk,fk->fvx", hand.pose_directions, turns.reshape(FRAMES, -1))
    share = swell / np.linalg.norm(moves, axis=2).mean()
    hand = with_keypoints(replace(hand, pose_directions=(share * hand.pose_directions).astype(np.float32)))
    return observed(Scene("hand", CAMERA, 30.0, (SceneBody(hand, 1, False, motion, motion),)))


def unseen_scene(scene):
    """The scene without pictures, its poses being what was observed, but for one frame."""
    imputed = np.arange(FRAMES) == 1
    bodies = tuple(replace(body, initial=replace(body.initial, imputed=imputed)) for body in scene.bodies)
    return replace(scene, bodies=bodies, keypoints2d={}, boxes={}, read_depth=None, noise={"poses": 0.004})


SCENES = {
    "touching": touching_scene,
    "sized": sized_scene,
    "mapped": mapped_scene,
    "unseen": lambda: unseen_scene(touching_scene()),
    "unseen tree": lambda: unseen_scene(tree_scene()),
    "known arm": lambda: known_in_touch("arm"),
    "known box": lambda: known_in_touch("box"),
    "tree": tree_scene,
    "seen": seen_scene,
    "hand": swelling_scene,
}


def problem_of(scene, device, points=120):
    """The problem of a scene at its initial poses."""
    motion = MotionState(scene, device, point_count=points)
    return Problem(motion, observe_picture(motion, 0.5, calibrate=False))


def freeze(problem, term, stage=STAGE):
    """The bound terms of a kind, frozen at the current motion."""
    problem.prepare_for([term])
    bound = list(term.bind(problem))
    problem.enter(stage)
    problem.refresh()
    for one in bound:
        one.enter(stage)
        one.freeze()
    return bound


def stance_of(problem, *, swelling=False):
    """The twin of a problem's motion, at its poses; ``swelling``: pose blend shapes follow the joints."""
    motion, surfaces, equations = problem.motion, problem.surfaces, problem.equations
    bodies = {body.name: body.body for body in motion.scene.bodies}
    motions = {}
    for name, state in motion.states.items():
        poses = state.poses.numpy().astype(float)
        rotation = poses[:, 3:] / np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)
        shape = state.shape.numpy().astype(float)
        scale = float(np.ravel(state.scale.numpy())[0])
        motions[name] = Poses(poses[:, :3], rotation, state.joints.numpy().astype(float), shape=shape, scale=scale)
    first = {body.name: motion.first_vertex(body.name) for body in motion.estimated}
    return twin.Motion(bodies, motions, equations.starts, first, surfaces.origin_places, equations.width, swelling)


def cost_of(bound, stance):
    """The twin's cost of a bound term as a function of a stance; what the term holds is read from it."""
    return COSTS[bound.name](bound, bound.problem, stance)


def _camera(problem):
    return np.array(problem.motion.focal, dtype=float), np.array(problem.motion.center, dtype=float)


def _scale(bound):
    scale = bound._scale.numpy()[0]
    return float(scale["weight"]), float(scale["reach"])


def _float(array):
    return array.numpy().astype(float)


def _paces(problem):
    return _float(problem.motion.paces)


def _stiffness(bound):
    found = bound._stiffness.numpy()[0]
    return [float(found[name]) for name in ("position", "rotation", "joints")]


def _keypoints(bound, problem, motion):
    places = problem.surfaces.keypoint_places[bound.body.name]
    detected = _float(bound._detected)
    return lambda stance: twin.keypoints(stance, places, detected, *_scale(bound), *_camera(problem))


def _boxes(bound, problem, motion):
    first, count = bound._first, bound.body.body.vertex_count
    drawn = twin.project(motion.start.places[:, first : first + count], *_camera(problem))
    touching = first + np.concatenate([drawn.argmin(axis=1), drawn.argmax(axis=1)], axis=1)
    sides = _float(bound._boxes)
    return lambda stance: twin.boxes(stance, touching, sides, *_scale(bound), *_camera(problem))


def _depth(bound, problem, motion):
    corners, shares = bound._places.corners.numpy(), _float(bound._places.barycentrics)
    held = _float(bound._seen), _float(bound._normals)
    assert (np.abs(held[1]).sum(axis=2) > 0.0).sum() > 20
    return lambda stance: twin.depth(stance, corners, shares, *held, *_scale(bound))


# The distance picture of the contour: an inclined plane, on which bilinear sampling is exact.
PLANE = np.array([-3.0, 0.11, 0.05])


def flatten_fields(bound):
    """Have a contour measured in an inclined plane; crossings lie on the kinks of any other picture."""
    problem, canvas = bound.problem, bound.problem.drawings.alone[bound.body.name]
    canvas.draw(problem.motion.screen)  # its crop is where the body is
    drawn = canvas.window
    y, x = np.mgrid[0 : drawn.height, 0 : drawn.width] + 0.5
    shifts = drawn.origins - problem.observed.window.origins
    planes = [(PLANE[0] + PLANE[1] * (x + right) + PLANE[2] * (y + down)).ravel() for right, down in shifts]
    fields = np.repeat(np.array(planes, dtype=np.float32)[:, None], 2, axis=1)
    bound._borders.fields = wp.array(fields, dtype=wp.float32, device=problem.motion.device)
    bound._distances.look = lambda borders, part: None


def _contour(bound, problem, motion):
    flatten_fields(bound)
    focal, center = _camera(problem)
    window = problem.observed.window
    crossings = []
    for frame, places in enumerate(motion.start.places):
        screen = np.column_stack([twin.project(places, focal, center), places[:, 2]])
        found = Crossings(places, screen, window.origins[frame], window.width, window.height)
        crossings.append((found.edges, found.shares, found.normals, found.lengths, found.places))
    assert all(len(found[1]) > 50 for found in crossings)
    field = lambda places: PLANE[0] + places @ PLANE[1:]  # noqa: E731
    return lambda stance: twin.contour(stance, crossings, field, *_scale(bound), focal, center, window.origins)


def _image(bound, problem, motion):
    samples, focal, center = bound._samples, *_camera(problem)
    corners, shares = samples.body.corners.numpy(), _float(samples.body.barycentrics)
    start = twin.project(twin.between(motion.start.places, corners, shares), focal, center)
    gains, albedo = _float(samples.gains), _float(samples.albedo)
    expected = albedo * gains + _float(samples.offsets)[:, None]
    axes = color_axes(expected.reshape(-1, 3)).reshape(*expected.shape, 3)
    sigmas = np.repeat(_float(bound.sigmas)[:, None, None], expected.shape[1], axis=1) * np.ones(3)
    sigmas[..., 0] += bound.term.sigma_shade * np.linalg.norm(expected, axis=2)
    seen, weights = bound.seen.numpy() >= 0, _float(bound._trust.shares)[:, None, None]
    assert seen.sum() > 80
    held = (_float(samples.colors), _float(samples.slopes), _float(samples.pixels), axes, expected, weights, sigmas)
    return lambda stance: twin.image(stance, corners, shares, seen, *held, start, focal, center)


def _touching_points(body, points):
    """Points [frame, point] of a body as a function of the stance; those of a known body stay."""
    if body.start < 0:
        held = _float(points)
        return lambda stance: held
    corners, shares = body.corners.numpy(), _float(body.barycentrics)
    return lambda stance: twin.between(stance.places, corners, shares)


def _sliding(bound, problem, motion):
    contacts, slip = bound._pair.contacts, bound._slip.numpy()[0]
    weights = _float(contacts.weights)
    assert (weights.sum(axis=1) > 1e-3).all()
    points, normals = _touching_points(contacts.body, contacts.points), _float(contacts.frozen)[..., :3]
    name, paces = bound._pair.body.name, _paces(problem)
    scale, width, free_normal = (float(slip[key]) for key in ("weight", "width", "free_normal"))

    pairs = np.sqrt(weights[1:] * weights[:-1])
    scales = scale / (pairs.sum(axis=1, keepdims=True) + 1e-3)
    pairs = np.where(pairs > 0.01 * _float(contacts.areas), pairs, 0.0)
    held = (normals, _float(bound._drifts), pairs, scales, width, free_normal, paces)
    return lambda stance: twin.slip(stance, points, name, *held)


def _penetration(bound, problem, motion):
    return _rigid_penetration(bound, motion) if bound.body.body.is_rigid else _bent_penetration(bound, motion)


def _rigid_distances(pair, motion):
    """Distances of points to a rigid body as a function of the stance, linear about the start in its own frame."""
    contacts, name = pair.contacts, pair.body.name
    points, samples = _touching_points(contacts.body, contacts.points), _float(contacts.samples)
    start = twin.on_body(motion.start.poses[name], points(motion.start))

    def distances(stance, factor=1.0):
        places = twin.on_body(stance.poses[name], points(stance)) / factor
        return factor * (samples[..., 3] + np.sum(samples[..., :3] * (places - start), axis=2))

    return distances


def _touch(bound, problem, motion):
    gap, nearest, moving = bound._gap.numpy()[0], bound._nearest.numpy(), _float(bound._moving)
    every = [_rigid_distances(pair, motion) for pair in bound._pairs]
    assert moving.any() and (nearest >= 0).all()
    weight, width = float(gap["weight"]), float(gap["width"])

    def cost(stance, factor=1.0):
        frames = np.arange(len(nearest))
        found = np.stack([distances(stance, factor) for distances in every])[nearest[:, 0], frames, nearest[:, 1]]
        return (moving * weight * twin.cauchy(found**2, width)).sum()

    return cost


def _rigid_penetration(bound, motion):
    contacts, push = bound._pair.contacts, bound._push.numpy()[0]
    samples, distances = _float(contacts.samples), _rigid_distances(bound._pair, motion)
    scales = float(push["weight"]) * _float(contacts.areas) / (_float(contacts.sums)[:, :1] + 1e-4)
    assert (-samples[..., 3] > push["allowance"]).sum() > 5

    def cost(stance, factor=1.0):
        return twin.press(-distances(stance, factor) - float(push["allowance"]), scales)

    return cost


def _bent_distances(bent, motion):
    """Distances of points to a surface that bends as a function of the stance; nearest places stay on their faces."""
    points, normals, distances = _touching_points(bent.body, bent.points), _float(bent.normals), _float(bent.distances)
    closest, shares = bent.closest.numpy(), _float(bent.barycentrics)
    corners = np.where(closest[..., None] >= 0, bent.faces.numpy()[closest], 0) + bent.first_vertex
    frames = np.arange(len(corners))[:, None, None]

    def offsets(stance):
        surface = np.einsum("fpcx,fpc->fpx", stance.places[frames, corners], shares)
        return np.sum(normals * (points(stance) - surface), axis=2)

    start = offsets(motion.start)
    return lambda stance, factor=1.0: distances + offsets(stance) - start


def _bent_penetration(bound, motion):
    bent, push = bound._bent, bound._push.numpy()[0]
    bound._query.query(bound._points, bound._answers)
    distances, areas, found = _float(bent.distances), _float(bent.areas), _bent_distances(bent, motion)
    touching = np.where(distances < float(push["touching"]), areas, 0.0).sum(axis=1, keepdims=True)
    scales = np.where(bent.closest.numpy() >= 0, float(push["weight"]) * areas / (touching + 1e-4), 0.0)
    assert (-distances > push["allowance"]).sum() > 5
    return lambda stance: twin.press(-found(stance) - float(push["allowance"]), scales)


def _contact_map(bound, problem, motion):
    bound.add(problem.costs_system)  # looks up where places are
    bound.costs.zero_()
    miss, wanted, shares = bound._miss.numpy()[0], _float(bound._wanted.distances), _float(bound._wanted.shares)
    if bound._other.body.is_rigid:
        distances = _rigid_distances(SimpleNamespace(contacts=bound._contacts, body=bound._other), motion)
    else:
        distances = _bent_distances(bound._bent, motion)
    names = ("weight", "width", "missing", "touching", "growth")
    return Distances(distances, wanted, shares, [float(miss[name]) for name in names]).cost


def _smoothness(bound, problem, motion):
    name, stiffness = bound.body.name, _stiffness(bound)
    return lambda s: twin.smoothness(s.poses[name], s.joints[name], _paces(problem), stiffness)


def _consistency(bound, problem, motion):
    name, stiffness = bound.body.name, _stiffness(bound)
    return lambda s: twin.consistency(s.poses[name], s.joints[name], _paces(problem), stiffness)


def _rest(bound, problem, motion):
    untouched = _float(bound._resting) / (1.0 + (_float(bound._touch) / 0.002) ** 2)
    name, stiffness = bound.body.name, _stiffness(bound)[:2]
    return lambda s: twin.rest(s.poses[name], _paces(problem), stiffness, untouched)


def _pose(bound, problem, motion):
    likely = bound._likely.numpy()[0]
    weights = [float(likely[key]) for key in ("limit", "prior", "guess")]
    held = [_float(array) for array in (*bound._limits, bound._mean, bound._precision, bound._guess)]
    return lambda s: twin.pose(s.joints[bound.body.name], *held, weights)


def _given(bound, problem, motion):
    """Bodies start where they were given: what was given is moved away, in one frame far enough to be an outlier."""
    given = _float(bound._given)
    given = given + 0.003 * np.random.default_rng(2).normal(size=given.shape)
    given[-1] += 0.02
    bound._given.assign(given.astype(np.float32))
    places, held, trusted = bound._chosen.numpy(), _float(bound._given), _float(bound._trusted)
    assert (list(trusted) == [1.0, 0.0, 1.0, 1.0] and len(places) == 24) or len(places) == 8
    origins = _float(bound._origins)[:, None]
    sized = bound.body.size is not None

    def cost(stance, factor=1.0):
        grown = origins + factor * (held - origins) if sized else held
        return twin.given(stance, places, grown, trusted, *_scale(bound))

    return cost


COSTS = {
    "given": _given,
    "keypoints": _keypoints,
    "boxes": _boxes,
    "depth": _depth,
    "contour": _contour,
    "image": _image,
    "sliding": _sliding,
    "penetration": _penetration,
    "contact_map": _contact_map,
    "smoothness": _smoothness,
    "consistency": _consistency,
    "rest": _rest,
    "pose": _pose,
    "touch": _touch,
}
