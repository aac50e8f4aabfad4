"""How our human body's surface follows its bones, and which parts of it have names."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body_parts import LINK_NAMES, PARENTS, other_side
from warpprior.bodies.hand_parts import vertex_normals
from warpprior.scenes.human_body_form import Form
from warpprior.scenes.human_body_measures import ARM_DROP, Measures, arm_frame
from warpprior.scenes.human_body_solid import shifted, union

INFLUENCES = 4
_LEAST = 0.02  # smaller weights are left out
_ROUNDS = 4  # in which weights are averaged over neighbours
_LINK = {name: number for number, name in enumerate(LINK_NAMES)}
MIRRORED = np.array([_LINK[other_side(name)] for name in LINK_NAMES])
_RAISED = ("left_shoulder", "left_elbow", "left_wrist", "left_hand")  # turn with the arm


def skin_weights(form: Form, vertices: np.ndarray, faces: np.ndarray, twin: np.ndarray) -> np.ndarray:
    """Weights of all vertices of a whole body for all links, at most four of a vertex (vertex, 24).

    Args:
        form: the mean body.
        vertices: of it, the arms lowered; first those with x >= 0 (vertex, 3) [m].
        faces: (face, 3).
        twin: the mirror image of each vertex (vertex,).
    """
    left = vertices[:, 0] >= 0.0
    weights = np.zeros((len(vertices), len(LINK_NAMES)))
    weights[left] = _left_weights(form, vertices[left])
    weights[~left] = weights[twin[~left]][:, MIRRORED]
    middle = twin == np.arange(len(vertices))
    weights[middle] = 0.5 * (weights[middle] + weights[middle][:, MIRRORED])
    weights = _even_out(weights, faces)
    order = np.argsort(-weights, axis=1, kind="stable")[:, INFLUENCES:]
    np.put_along_axis(weights, order, 0.0, axis=1)
    weights[weights < _LEAST] = 0.0
    weights[middle] *= weights[middle][:, MIRRORED] > 0.0
    return weights / weights.sum(axis=1, keepdims=True)


def _ramp(x: np.ndarray) -> np.ndarray:
    """0 below -1, 1 above 1, smooth in between."""
    x = np.clip(0.5 * (x + 1.0), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _left_weights(form: Form, points: np.ndarray) -> np.ndarray:
    """Weights of points with x >= 0 (point, 24)."""
    leg, knee, ankle, toes = _leg_shares(form, points)
    arm, collar, elbow, wrist, hand = _arm_shares(form, points)
    leg = leg * (1.0 - arm)
    spine1, spine2, spine3, neck, head = _spine_shares(form, points)
    collar, arm = collar * (1.0 - neck), arm * (1.0 - neck)
    trunk = (1.0 - leg) * (1.0 - arm) * (1.0 - collar)
    weights = np.zeros((len(points), len(LINK_NAMES)))
    columns = {
        "left_hip": leg * (1.0 - knee),
        "left_knee": leg * knee * (1.0 - ankle),
        "left_ankle": leg * knee * ankle * (1.0 - toes),
        "left_foot": leg * knee * ankle * toes,
        "left_collar": (1.0 - leg) * (1.0 - arm) * collar,
        "left_shoulder": arm * (1.0 - elbow),
        "left_elbow": arm * elbow * (1.0 - wrist),
        "left_wrist": arm * elbow * wrist * (1.0 - hand),
        "left_hand": arm * elbow * wrist * hand,
        "pelvis": trunk * (1.0 - spine1),
        "spine1": trunk * spine1 * (1.0 - spine2),
        "spine2": trunk * spine1 * spine2 * (1.0 - spine3),
        "spine3": trunk * spine1 * spine2 * spine3 * (1.0 - neck),
        "neck": trunk * spine1 * spine2 * spine3 * neck * (1.0 - head),
        "head": trunk * spine1 * spine2 * spine3 * neck * head,
    }
    for name, column in columns.items():
        weights[:, _LINK[name]] = column
    return weights


def _spine_shares(form: Form, points: np.ndarray) -> list[np.ndarray]:
    """How far points have passed the joints of the spine, of the neck and of the head, 0 to 1 (point,) each."""
    joints = form.measures.joints
    x, y, z = points.T
    shares = [_ramp((y - joints[f"spine{n}"][1]) / reach) for n, reach in ((1, 0.075), (2, 0.065), (3, 0.060))]
    neck = joints["neck"]
    shares.append(_ramp((y - neck[1] + 0.015 + 0.35 * (z - neck[2]) - 0.45 * np.maximum(x - 0.045, 0.0)) / 0.035))
    shares.append(_ramp((0.75 * (y - joints["head"][1]) + 0.66 * (z - joints["head"][2])) / 0.030))
    return shares


def _leg_shares(form: Form, points: np.ndarray) -> list[np.ndarray]:
    """How far points have passed hip, knee, ankle and toes, 0 to 1 (point,) each."""
    joints = form.measures.joints
    hip, knee, ankle, toes = (joints[f"left_{name}"] for name in ("hip", "knee", "ankle", "foot"))
    x, y, z = points.T
    front = _ramp((z - hip[2]) / 0.06)
    outwards = np.clip(x - hip[0], -0.07, 0.08)
    crease = front * (hip[1] + 0.010 + 0.75 * outwards) + (1.0 - front) * (hip[1] - 0.030 + 0.45 * outwards)
    passed = _ramp((crease - y) / (front * 0.062 + (1.0 - front) * 0.085))
    inwards = np.maximum(_ramp((x - 0.016) / 0.028), _ramp((0.770 - y) / 0.03))
    shares = [passed * inwards]
    axis = (knee - hip) / np.linalg.norm(knee - hip) + (ankle - knee) / np.linalg.norm(ankle - knee)
    before = _ramp((z - knee[2]) / 0.04)
    shares.append(_ramp((points - knee) @ axis / np.linalg.norm(axis) / (0.060 * before + 0.050 * (1.0 - before))))
    shares.append(_ramp((points - ankle) @ (0.0, -0.85, 0.53) / 0.038))
    shares.append(_ramp((z - toes[2] + 0.005) / 0.028))
    return shares


def _arm_shares(form: Form, points: np.ndarray) -> list[np.ndarray]:
    """How much points are the arm's and the collar's, and how far they have passed elbow, wrist and knuckles."""
    joints = form.measures.joints
    shoulder, elbow, wrist, hand = (joints[f"left_{name}"] for name in ("shoulder", "elbow", "wrist", "hand"))
    axes = arm_frame()
    x, y, _ = points.T
    own = _ramp((union(form.trunk, points) - union(form.arm, points) - 0.004) / 0.028)
    own = np.maximum(own, x > shoulder[0] + 0.10)
    arm = own * _ramp(((points - shoulder) @ (0.94, -0.34, 0.0) - 0.004) / 0.055)
    collar = _ramp((x - 0.5 * (joints["left_collar"][0] + shoulder[0]) + 0.004) / 0.055) * _ramp(
        (y - shoulder[1] + 0.055) / 0.075
    )
    local = (points - elbow) @ axes.T
    inside = _ramp(local[:, 2] / 0.03)
    shares = [arm, collar, _ramp(local[:, 0] / (0.040 * inside + 0.048 * (1.0 - inside)))]
    shares.append(_ramp((points - wrist) @ axes[0] / 0.034))
    digits = [union(finger, points) for finger in form.fingers]
    thumb = digits[0] < np.min(digits[1:], axis=0)
    shares.append(np.where(thumb, 0.0, _ramp(((points - hand) @ axes[0] - 0.002) / 0.016)))
    return shares


def _even_out(weights: np.ndarray, faces: np.ndarray) -> np.ndarray:
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    degree = np.bincount(pairs[:, 0], minlength=len(weights))[:, None]
    for _ in range(_ROUNDS):
        mean = np.stack([np.bincount(pairs[:, 0], column[pairs[:, 1]], len(weights)) for column in weights.T], axis=1)
        weights = 0.5 * (weights + mean / degree)
    return weights


def raise_arms(body: Measures, vertices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The left half with its arm level (vertex, 3) [m]: what skinning carries to ``vertices`` when the arm is lowered.

    Args:
        body: whose joints are meant.
        vertices: the arms lowered (vertex, 3) [m].
        weights: of them (vertex, 24).
    """
    lowered = Rotation.from_euler("z", -ARM_DROP).as_matrix()
    shoulder = body.joints["left_shoulder"]
    share = weights[:, [_LINK[name] for name in _RAISED]].sum(axis=1)[:, None]
    carried = share[..., None] * lowered + (1.0 - share[..., None]) * np.eye(3)
    pinned = share * (shoulder - lowered @ shoulder)
    return np.linalg.solve(carried, (vertices - pinned)[..., None])[..., 0]


def level_joints(body: Measures) -> np.ndarray:
    """Where the joints are with the arms level (24, 3) [m]."""
    lifted = Rotation.from_euler("z", ARM_DROP).as_matrix()
    shoulder = body.joints["left_shoulder"]
    places = np.zeros((len(LINK_NAMES), 3))
    for number, name in enumerate(LINK_NAMES):
        right = name.startswith("right_")
        place = body.joints[other_side(name) if right else name]
        if (other_side(name) if right else name) in _RAISED:
            place = shoulder + lifted @ (place - shoulder)
        places[number] = place * ((-1.0, 1.0, 1.0) if right else (1.0, 1.0, 1.0))
    return places


def moved_with_joints(before: Measures, after: Measures, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A first guess of where points of one body are on another: along bones as their ends move (point, 3)."""
    result = points.copy()
    growth = {"left_hand": after.arm, "left_foot": after.leg, "head": after.head}
    for number, name in enumerate(LINK_NAMES):
        if name not in before.joints:
            continue
        joint, shift = before.joints[name], after.joints[name] - before.joints[name]
        child = next((LINK_NAMES[c] for c in range(number + 1, 24) if PARENTS[c] == number), None)
        if name == "pelvis":
            child = "spine1"
        elif name == "spine3":
            child = "neck"
        if child is None:
            step = shift + (growth[name] - 1.0) * (points - joint)
        else:
            bone = before.joints[child] - joint
            share = np.clip((points - joint) @ bone / (bone @ bone), 0.0, 1.0)[:, None]
            step = (1.0 - share) * shift + share * (after.joints[child] - before.joints[child])
        result += weights[:, [number]] * step
    return result


def contact_zones(form: Form, vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Vertices of the parts that touch things, of the left half and the middle of a whole body."""
    normals = vertex_normals(vertices, faces)
    strongest = np.array(LINK_NAMES)[weights.argmax(axis=1)]
    on = lambda *names: np.isin(strongest, names)  # noqa: E731
    x, y, _ = vertices.T
    crotch = form.measures.joints["left_hip"][1] - 0.07
    zones = {
        "left_sole": on("left_ankle", "left_foot") & (normals[:, 1] < -0.7),
        "left_palm": on("left_wrist", "left_hand") & (normals @ arm_frame()[1] < -0.4),
        "left_forearm": on("left_elbow"),
        "left_lap": on("left_hip") & (normals[:, 2] > 0.4) & (y < crotch),
        "left_shin": on("left_knee") & (normals[:, 2] > 0.4),
        "seat": on("pelvis", "left_hip") & (normals[:, 2] < -0.3) & (y > crotch - 0.16) & (y < crotch + 0.16),
        "back": on("spine1", "spine2", "spine3", "left_collar") & (normals[:, 2] < -0.5),
        "chest": on("spine1", "spine2", "spine3", "left_collar") & (normals[:, 2] > 0.5),
        "head": on("head"),
    }
    return {name: np.flatnonzero(zone & (x >= 0.0)) for name, zone in zones.items()}


def landmarks(form: Form, vertices: np.ndarray) -> dict[str, int]:
    """Vertices of the left half and the middle that detectors find, or that are measured to {name: vertex}."""
    body, toes = form.measures, form.toes
    places = {
        "nose": body.face((0.0, 1.5625, 0.126)),
        "left_eye": body.face((0.032, 1.589, 0.097)),
        "left_ear": body.face((0.084, 1.580, -0.006)),
        "throat": body.upper((0.0, 1.405, 0.045)),
        "crown": body.face((0.0, 1.70, -0.006)),
        "chin": body.face((0.0, 1.490, 0.100)),
        "left_big_toe": shifted(toes[0].end, 0.0, 0.0, 0.012),
        "left_small_toe": shifted(toes[-1].end, 0.006, 0.0, 0.006),
        "left_heel": body.joints["left_ankle"] + (0.0, -0.05, -0.055),
    }
    left = np.flatnonzero(vertices[:, 0] >= 0.0)
    middle = left[np.abs(vertices[left, 0]) < 1e-6]
    found = {}
    for name, place in places.items():
        among = left if name.startswith("left_") else middle
        found[name] = int(among[np.linalg.norm(vertices[among] - place, axis=1).argmin()])
    return found
