"""Where the links of a hand touch objects, as video_to_data's parquet files have it: one place for each link.

Positions are in the world.  Normals of objects point *into* them, as its own files have it (negated normals of faces);
normals of links point out of the link, so that both point the same way where they touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warpprior.bodies.posing import link_transforms, posed_vertices
from warpprior.bodies.triangles import vertex_normals
from warpprior.formats.parts.frame_names import keypoint_of
from warpprior.io.world import CameraPath
from warpprior.scene import SceneBody

REACH_M = 0.01  # its threshold for hands of MANO
MANO_LINKS = (
    "palm",
    *(f"{finger}{part}" for finger in ("thumb", "index", "middle", "ring", "pinky") for part in (1, 2, 3)),
)


@dataclass(frozen=True, eq=False)
class LinkContacts:
    """Contacts of one hand; zeros and part 0 where a link touches nothing.

    Attributes:
        link_positions, object_positions: (frame, link, 3) [m], world.
        link_normals, object_normals: unit vectors (frame, link, 3), world.
        parts: (frame, link) int, one more than the number of the object's part.
    """

    link_positions: np.ndarray
    object_positions: np.ndarray
    link_normals: np.ndarray
    object_normals: np.ndarray
    parts: np.ndarray

    @property
    def active(self) -> np.ndarray:
        """1 in frames with a contact (frame,)."""
        return np.asarray((self.parts > 0).any(axis=1), dtype=np.float64)


def link_contacts(
    hand: SceneBody, objects: Sequence[SceneBody], names: Sequence[str], path: CameraPath, reach: float = REACH_M
) -> LinkContacts | None:
    """The nearest place of each named link to the objects, where it is within reach or inside.

    Args:
        hand: the body with the links.
        objects: rigid bodies, in the order of the file's parts.
        names: of the links.
        path: of the camera.
        reach: of contacts [m].

    Returns:
        the contacts; None where the body has not all links.
    """
    regions = [_vertices_of(hand, name) for name in names]
    if not names or any(len(region) == 0 for region in regions):
        return None
    surface = posed_vertices(hand.body, hand.initial).astype(np.float64)
    normals = vertex_normals(surface, hand.body.faces)
    found = _Nearest(len(surface), len(names))
    for number, item in enumerate(objects):
        found.look(number, item, surface, normals, regions, reach)
    return found.in_world(path)


def _vertices_of(hand: SceneBody, name: str) -> np.ndarray:
    """Vertices that mostly follow the link of that name."""
    body = hand.body
    link = body.link_names.index(name) if name in body.link_names else None
    if link is None:
        key = keypoint_of(name)
        tip = key is not None and key.endswith("_tip")
        key = f"{key[:-4]}3" if key is not None and tip else key
        link = body.link_names.index(key) if key in body.link_names else None
    if link is None:
        return np.zeros(0, dtype=int)
    return np.flatnonzero(body.skin_links[:, 0] == link)


class _Nearest:
    """Nearest places so far, in the camera's frame."""

    def __init__(self, frames: int, links: int):
        shape = frames, links
        self.distance = np.full(shape, np.inf)
        self.parts = np.zeros(shape, dtype=np.int64)
        self.places = {key: np.zeros((*shape, 3)) for key in ("link", "object", "link_normal", "object_normal")}

    def look(self, number, item: SceneBody, surface, normals, regions, reach: float) -> None:
        from scipy.spatial.transform import Rotation

        from warpprior.geometry.signed_distance import Surface

        poses = item.initial
        mesh = Surface(item.body.vertices * poses.scale, item.body.faces, item.name)
        turn = Rotation.from_quat(poses.rotation).as_matrix()
        for frame in range(len(surface)):
            own = (surface[frame] - poses.position[frame]) @ turn[frame]
            distances, outwards, met = mesh.measure(own, 10.0 * reach)
            for link, region in enumerate(regions):
                near = region[np.argmin(distances[region])]
                if not met[near] or distances[near] > min(reach, self.distance[frame, link]):
                    continue
                self.distance[frame, link], self.parts[frame, link] = distances[near], number + 1
                out = outwards[near].astype(np.float64)
                out = out / max(float(np.linalg.norm(out)), 1e-12)
                on = own[near] - distances[near] * out
                self.places["link"][frame, link] = surface[frame, near]
                self.places["object"][frame, link] = turn[frame] @ on + poses.position[frame]
                self.places["link_normal"][frame, link] = normals[frame, near]
                self.places["object_normal"][frame, link] = -(turn[frame] @ out)

    def in_world(self, path: CameraPath) -> LinkContacts:
        matrices, touches = path.matrices(), self.parts[..., None] > 0
        made = {}
        for key, values in self.places.items():
            moved = np.einsum("fab,flb->fla", matrices[:, :3, :3], values)
            moved = moved if key.endswith("normal") else moved + matrices[:, None, :3, 3]
            made[key] = np.where(touches, moved, 0.0)
        return LinkContacts(made["link"], made["object"], made["link_normal"], made["object_normal"], self.parts)


def frames_of_links(hand: SceneBody) -> np.ndarray:
    """Frames of a body's keypoints, or of its links where it has none (frame, keypoint, 7), in the camera's frame."""
    links = link_transforms(hand.body, hand.initial).astype(np.float64)
    keypoints = hand.body.keypoints
    if keypoints is None:
        return links
    frames = links[:, keypoints.links].copy()
    frames[..., :3] = keypoints.places(links, posed_vertices(hand.body, hand.initial))
    return frames
