"""Floating and planar joints of URDF files: they place a robot in its world, which is what the pose of a body does."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from warpprior.support.errors import InputError

ROOT_TYPES = ("floating", "planar")
MOST_PLACING = 8


def place_freely(
    path: Path,
    links: dict[str, ElementTree.Element],
    joints: dict[str, ElementTree.Element],
    warnings: list[str],
) -> dict[str, ElementTree.Element]:
    """The joints below those that place the whole robot; the links above these are taken out of ``links``.

    Raises:
        InputError: a floating or planar joint elsewhere.
    """
    placing = [name for name, joint in joints.items() if joint.get("type") in ROOT_TYPES]
    if len(placing) > MOST_PLACING:
        raise InputError(str(path), f"{len(placing)} floating or planar joints", f"at most {MOST_PLACING}, at the root")
    for name in placing:
        if name not in joints:  # it was above another one
            continue
        kind, child = joints[name].get("type", ""), joint_end(joints[name], "child")
        children: dict[str, list[str]] = {}
        for joint in joints.values():
            children.setdefault(joint_end(joint, "parent"), []).append(joint_end(joint, "child"))
        below: set[str] = set()
        waiting = [child]
        while waiting:
            link = waiting.pop()
            if link not in below:
                below.add(link)
                waiting.extend(children.get(link, []))
        above = [link for link in links if link not in below]
        shaped = any(links[link].find(shape) is not None for link in above for shape in ("visual", "collision"))
        moved = below - {child}
        outside = {key for key, joint in joints.items() if joint_end(joint, "child") not in moved}
        moving = any(joints[key].get("type") not in ("fixed", *ROOT_TYPES) for key in outside)
        if child not in links or not above or shaped or moving:
            found = f"type {kind!r} at a link that is not the root of all that is drawn"
            raise InputError(f"{path}, joint {name!r}", found, "it is accepted between empty links and the whole robot")
        for link in above:
            del links[link]
        joints = {key: joint for key, joint in joints.items() if key not in outside}
        if kind == "planar":
            warnings.append(f"joint {name!r}: is planar and places the robot; its pose is free, its plane is not kept")
    return joints


def joint_end(joint: ElementTree.Element, end: str) -> str:
    """The link that a joint names as its ``"parent"`` or ``"child"``, or ""."""
    found = joint.find(end)
    return "" if found is None else found.get("link", "")
