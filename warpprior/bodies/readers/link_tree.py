"""Links and joints as files give them, sorted into a tree and made an articulated body."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.readers.mesh import check_size
from warpprior.bodies.repair import UNPAINTED, Surface
from warpprior.support.errors import InputError

LARGEST = float(np.finfo(np.float32).max)  # number: bodies are in single precision


@dataclass(frozen=True)
class Joint:
    """One joint as the file gives it.

    Attributes:
        name, parent, child: of the joint and its links.
        type: hinge, slide, ball or fixed.
        origin: parent_from_joint (4, 4) [m].
        axis: unit vector (3,) in the joint's frame.
        lower, upper: limits of each coordinate [rad or m].
        source: the joint it mimics, by ``gain`` times its coordinate plus ``bias``; or its own name.
    """

    name: str
    parent: str
    child: str
    type: JointType
    origin: np.ndarray
    axis: np.ndarray
    lower: float
    upper: float
    source: str
    gain: float
    bias: float


def sort_links(where: str, links: Iterable[str], joints: dict[str, Joint]) -> list[tuple[str, Joint | None]]:
    """Links with the joint that leads to each, parents first, branch by branch."""
    links = list(links)
    into: dict[str, Joint] = {}
    out_of: dict[str, list[Joint]] = {link: [] for link in links}
    for joint in joints.values():
        place = f"{where}, joint {joint.name!r}"
        for end in (joint.parent, joint.child):
            if end not in links:
                raise InputError(place, f"joins link {end!r}, which does not exist", f"links: {listed(links)}")
        if joint.child in into:
            found = f"link {joint.child!r} is also the child of joint {into[joint.child].name!r}"
            raise InputError(place, found, "links must form a tree: one parent each")
        into[joint.child] = joint
        out_of[joint.parent].append(joint)
    roots = [link for link in links if link not in into]
    if len(roots) > 1:
        raise InputError(where, f"{len(roots)} links have no parent: {listed(roots)}", "join them into one tree")
    order: list[tuple[str, Joint | None]] = []
    waiting: list[tuple[str, Joint | None]] = [(root, None) for root in roots]
    while waiting:
        link, joint = waiting.pop()
        order.append((link, joint))
        waiting.extend((after.child, after) for after in reversed(out_of[link]))
    if len(order) < len(links):
        reached = {link for link, _ in order}
        looped = [link for link in links if link not in reached]
        raise InputError(where, f"joints form a loop through links {listed(looped)}", "links must form a tree")
    if not order:
        raise InputError(where, "has no links", "give a robot with at least one link")
    return order


def listed(names) -> str:
    names = list(names)
    return ", ".join(repr(name[:60]) for name in names[:12]) + (", ..." if len(names) > 12 else "")


def resolve_mimic(where: str, joint: Joint, joints: dict[str, Joint]) -> tuple[str, float, float]:
    """The joint whose coordinate moves this one, and gain and bias, through any number of mimics."""
    gain, bias = 1.0, 0.0
    passed = [joint.name]
    while joint.source != joint.name:
        place = f"{where}, joint {joint.name!r}"
        # motion = gain * (own coordinate) + bias, and own coordinate = joint.gain * q + joint.bias
        gain, bias = gain * joint.gain, gain * joint.bias + bias
        if joint.source not in joints:
            found = f"mimics joint {joint.source!r}, which does not exist"
            raise InputError(place, found, f"joints: {listed(joints)}")
        joint = joints[joint.source]
        if joint.name in passed:
            raise InputError(place, f"mimics itself through {listed(passed)}", "mimic a joint that moves by itself")
        if joint.type == JointType.FIXED:
            raise InputError(place, f"mimics joint {joint.name!r}, which is fixed", "mimic a joint that moves")
        passed.append(joint.name)
    if not max(abs(gain), abs(bias)) <= LARGEST:
        found = f"mimics joint {joint.name!r} by {gain:.3g}, and {bias:.3g} beside it"
        raise InputError(f"{where}, joint {passed[0]!r}", found, "give numbers that single precision holds")
    return joint.name, gain, bias


def _coordinates(joint: Joint) -> list[str]:
    return [f"{joint.name}.{axis}" for axis in "xyz"] if joint.type == JointType.BALL else [joint.name]


def assemble(
    where: str,
    name: str,
    order: list[tuple[str, Joint | None]],
    joints: dict[str, Joint],
    surfaces: dict[str, list[Surface]],
    warnings: list[str],
    *,
    size_hint: str = "",
) -> Body:
    """The body of a tree of links.

    Args:
        where: the file, for messages.
        name: of the body.
        order: as of :func:`sort_links`.
        joints: by name; coordinates come in their order.
        surfaces: of each link, in its own frame [m].
        warnings: what was said before; what is found is appended.
        size_hint: how a wrong size is mended.

    Raises:
        InputError: a mimic that leads nowhere, or a size that cannot be in metres.
    """
    from scipy.spatial.transform import Rotation

    index = {link: number for number, (link, _) in enumerate(order)}
    free = [joint for joint in joints.values() if joint.type != JointType.FIXED and joint.source == joint.name]
    widths = [3 if joint.type == JointType.BALL else 1 for joint in free]
    start = {joint.name: int(sum(widths[:number])) for number, joint in enumerate(free)}
    rest = np.tile(np.eye(4), (len(order), 1, 1))
    link_count = len(order)
    parents = np.full(link_count, -1, dtype=np.int32)
    types = np.full(link_count, JointType.FREE, dtype=np.int32)
    offsets = np.tile(np.array([0, 0, 0, 0, 0, 0, 1], dtype=np.float64), (link_count, 1))
    axes = np.zeros((link_count, 3))
    starts = np.full(link_count, -1, dtype=np.int32)
    gains, biases = np.ones(link_count), np.zeros(link_count)
    for number, (_, joint) in enumerate(order):
        if joint is None:
            continue
        parents[number] = index[joint.parent]
        types[number] = joint.type
        offsets[number, :3] = joint.origin[:3, 3]
        offsets[number, 3:] = Rotation.from_matrix(joint.origin[:3, :3]).as_quat()
        rest[number] = rest[parents[number]] @ joint.origin
        if joint.type != JointType.FIXED:
            source, gains[number], biases[number] = resolve_mimic(where, joint, joints)
            starts[number] = start[source]
            axes[number] = joint.axis
    pieces, piece_links = [], []
    for link, number in index.items():
        for surface in surfaces[link]:
            placed = surface.vertices @ rest[number][:3, :3].T + rest[number][:3, 3]
            pieces.append(Surface(placed, surface.faces, surface.colors, surface.closed, surface.warnings))
            piece_links.append(np.full(len(placed), number, dtype=np.int32))
    vertices = np.concatenate([piece.vertices for piece in pieces])
    first = np.cumsum([0, *(len(piece.vertices) for piece in pieces[:-1])])
    colors = None
    if any(piece.colors is not None for piece in pieces):
        colors = [np.full((len(p.vertices), 3), UNPAINTED) if p.colors is None else p.colors for p in pieces]
        colors = np.concatenate(colors).astype(np.float32)
    warnings += [warning for piece in pieces for warning in piece.warnings]
    warnings += check_size(where, vertices, size_hint)
    vertex_count = len(vertices)
    return Body(
        name=name,
        kind="urdf",
        vertices=vertices.astype(np.float32),
        faces=np.concatenate([p.faces + f for p, f in zip(pieces, first, strict=True)]).astype(np.int32),
        link_names=tuple(link for link, _ in order),
        parents=parents,
        joint_types=types,
        joint_offsets=offsets.astype(np.float32),
        joint_axes=axes.astype(np.float32),
        coordinate_starts=starts,
        coordinate_gains=gains.astype(np.float32),
        coordinate_biases=biases.astype(np.float32),
        coordinate_names=tuple(name for joint in free for name in _coordinates(joint)),
        lower=np.repeat([joint.lower for joint in free], widths).astype(np.float32),
        upper=np.repeat([joint.upper for joint in free], widths).astype(np.float32),
        skin_links=np.concatenate(piece_links)[:, None],
        skin_weights=np.ones((vertex_count, 1), dtype=np.float32),
        shape_directions=np.zeros((vertex_count, 3, 0), dtype=np.float32),
        joint_shape_directions=np.zeros((link_count, 3, 0), dtype=np.float32),
        pose_directions=np.zeros((vertex_count, 3, 0), dtype=np.float32),
        colors=colors,
        closed=all(piece.closed for piece in pieces),
        warnings=tuple(warnings),
    )
