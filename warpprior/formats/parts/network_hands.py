"""Hands of networks in a scene: MANO where its model is at hand, our own hand held to their keypoints where it is not.

Left hands come in three ways.  HaMeR and WiLoR know right hands alone: what they say of a left one is of its mirror
image.  Others mirrored the rotations again, or fitted MANO's left model.  The keypoints in a file tell which.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpprior.bodies.posing import posed_keypoints
from warpprior.bodies.readers.hand import read_hand
from warpprior.formats.parts.crop_camera import choose_focal, crop_camera, into_picture
from warpprior.formats.parts.hand_arrays import HandRecord
from warpprior.formats.parts.hand_frames import back_of_hand
from warpprior.formats.parts.mano_hands import VARIABLE, ManoHand, find_mano
from warpprior.formats.parts.motion import MIRROR
from warpprior.formats.parts.timeline import Timeline
from warpprior.io.rotations import read_joint_matrices
from warpprior.scene import Camera, Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list

# What rotations of a left hand are of: the right hand that it mirrors, that hand mirrored, or MANO's left hand.
CONVENTIONS = ("right", "mirrored", "native")
JOINTS = tuple(row for row in range(21) if row not in (4, 8, 12, 16, 20))  # tips are other vertices for others
OPENGL = np.diag([1.0, -1.0, -1.0])
DEEP_SIGMA_M = 0.015  # of keypoints that a network puts in space
_TOLD = 0.5  # the best convention is off by less than this share of the next
_AGREE_M = 0.005
_BENT = 0.004
_SHAPE = 0.05
_FARTHEST_M = 1e5


@dataclass(frozen=True, eq=False)
class NetworkHand:
    """A hand of a scene.

    Attributes:
        item: the body, its label still to be given; without initial poses where keypoints are all there is.
        keypoints2d: (frame, 21, 3) or None.
        keypoints3d: (frame, 21, 4) or None.
    """

    item: SceneBody
    keypoints2d: np.ndarray | None = None
    keypoints3d: np.ndarray | None = None


@dataclass(frozen=True)
class HandChoices:
    """What was asked for.

    Attributes:
        mano: folder of the models, or None for the environment's.
        left: one of CONVENTIONS, or None to tell it.
        alone: hands are all there is.
        points: what moves pixels (..., 2) of pictures with distortion to those of the pinhole camera, or None.
    """

    mano: Path | None = None
    left: str | None = None
    points: Callable[[np.ndarray], np.ndarray] | None = None
    alone: bool = False

    @property
    def has_models(self) -> bool:
        return self.mano is not None or bool(os.environ.get(VARIABLE))


def network_hands(
    records: Sequence[HandRecord],
    where: str,
    camera: Camera,
    timeline: Timeline,
    choices: HandChoices,
    notes: list[str],
) -> list[NetworkHand]:
    """Hands by side.

    Args:
        records: as files have them.
        where: names them in messages.
        camera: that took the pictures.
        timeline: the frames.
        choices: what was asked for.
        notes: what was taken how is appended.

    Raises:
        InputError: no record is of a frame, or there are neither keypoints nor a model.
    """
    found = []
    for side in ("left", "right"):
        rows = records_by_frame([record for record in records if record.side == side], side, where, timeline, notes)
        if rows:
            found.append(HandOfSide(side, rows, where, camera, timeline, choices, notes).made())
    return found


def numbers_of(records: Sequence[HandRecord]) -> list[int]:
    """Numbers of the frames that records are of."""
    return sorted({0 if record.frame is None else record.frame for record in records})


def records_by_frame(
    records: list[HandRecord], side: str, where: str, timeline: Timeline, notes: list[str]
) -> dict[int, HandRecord]:
    """The surest record of each frame."""
    found: dict[int, HandRecord] = {}
    twice: list[int] = []
    for record in records:
        number = 0 if record.frame is None else record.frame
        if number in found:
            twice.append(number)
        if number not in found or record.score > found[number].score:
            found[number] = record
    if twice:
        notes.append(f"{where}: {len(twice)} times two {side} hands in one picture; the surer, or first, one was taken")
    if not found:
        return {}
    place = f"{where}: {side} hand"
    if all(record.by_row for record in found.values()):
        return timeline.by_place(found, place, notes)
    moved = {number + timeline.numbers[0]: record for number, record in found.items()}
    if not set(found) <= set(timeline.numbers) and set(moved) <= set(timeline.numbers):
        notes.append(
            f"{place}: numbers from 0 on, the pictures' begin with {timeline.numbers[0]}; 0 is the first of them"
        )
        found = moved
    return timeline.by_frame(found, place, notes)


class HandOfSide:
    """The hand of one side being made."""

    def __init__(
        self,
        side: str,
        rows: Mapping[int, HandRecord],
        where: str,
        camera: Camera,
        timeline: Timeline,
        choices: HandChoices,
        notes: list[str],
    ):
        self.side, self.where, self.camera, self.choices, self.notes = side, where, camera, choices, notes
        self.name, self.count = f"hand_{side}", timeline.count
        self.frames = np.array(sorted(rows))
        self.records = [rows[frame] for frame in self.frames]
        self.first = self.records[0]
        self.models: dict[tuple[str, bool], ManoHand] = {}
        self.vectors: tuple[np.ndarray, np.ndarray, bool] | None = None
        self.network: Camera | None = None  # through which hands are seen in their files
        self.turned = False  # hands are in OpenGL's axes in their files

    def made(self) -> NetworkHand:
        whole = all(record.orient is not None for record in self.records)
        if any(record.translation is None for record in self.records):
            accepted = "needs pred_cam_t_full, or pred_cam with box_center, box_size and img_size"
            raise InputError(f"{self.where}: {self.name}", "has no place in the camera", accepted)
        if not whole or (not self.choices.has_models and self.stacked("keypoints3d") is not None):
            return self._of_keypoints()
        return self._of_parameters()

    def stacked(self, key: str) -> np.ndarray | None:
        """Values (row, ...) of all records, None where one has none."""
        values = [getattr(record, key) for record in self.records]
        return None if any(value is None for value in values) else np.stack(values)

    def need(self, key: str) -> np.ndarray:
        values = self.stacked(key)
        if values is None:
            raise InputError(f"{self.where}: {self.name}", f"has no {key} in some frames", "needs it in all of them")
        return values

    def _of_parameters(self) -> NetworkHand:
        shapes = self.stacked("shape")
        shapes = np.zeros((len(self.records), 10)) if shapes is None else shapes
        shape = np.median(shapes, axis=0)
        if (spread := float(np.abs(shapes - shape).max())) > _SHAPE:
            self.notes.append(f"{self.name}: its shape varies by {spread:.2g} between frames; the median was taken")
        hand, _, orient, joints, about = self.told(shape)
        wrists = np.stack([hand.root(one) for one in shapes]) + self.need("translation")
        orient, about, wrists = self.in_front(orient, about, wrists)
        transl = self.seen(about, wrists) - hand.root(shape)
        valid = np.zeros(self.count, dtype=bool)
        valid[self.frames] = True
        orient, transl, joints = (self._spread(values) for values in (orient, transl, joints))
        poses = hand.poses(self.where, self.name, orient, transl, joints, shape, valid, self.notes)
        return NetworkHand(hand.scene_body(self.name, 1, poses))

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Values (frame, n) of values (row, n), zeros where there is none."""
        whole = np.zeros((self.count, values.shape[1]))
        whole[self.frames] = values
        return whole

    def told(self, shape: np.ndarray) -> tuple[ManoHand, tuple[str, bool], np.ndarray, np.ndarray, np.ndarray]:
        """What parameters mean: where a file has keypoints, too, what makes them; else what is usual.

        Returns:
            the model; a convention, and whether zero joints are the flat hand; rotation vectors (row, 3) and (row, 45);
            keypoints about the wrist (row, 21, 3).
        """
        usual = self._usual()
        stored = self.stacked("keypoints3d")
        made: dict[tuple[str, bool], tuple[ManoHand, np.ndarray, np.ndarray, np.ndarray]] = {}
        refused: InputError | None = None
        for option in [usual] if stored is None else self._options(usual):
            try:
                made[option] = self._as(*option, shape)
            except InputError as error:  # no such model, or one without the mean of its training poses
                refused = refused or error
        if not made or (usual not in made and stored is None):
            assert refused is not None
            raise refused
        usual = usual if usual in made else next(iter(made))
        chosen = usual
        if stored is not None:
            about = stored - stored[:, :1]
            ways = [np.ones(3)] if self.side == "right" else [np.ones(3), np.array([-1.0, 1.0, 1.0])]
            misses = {option: min(_miss(found[-1], about * way) for way in ways) for option, found in made.items()}
            best = min(misses, key=lambda option: misses[option])
            others = [miss for option, miss in misses.items() if option != best]
            if misses[best] < _AGREE_M and misses[best] < _TOLD * min(others, default=np.inf):
                chosen = best
            said = f"{1000 * misses[chosen]:.2g} mm (median)"
            if misses[chosen] > _AGREE_M:
                self.notes.append(f"{self.name}: its parameters make keypoints that are {said} off those in the file")
            elif chosen != usual or self.side == "left":
                self.notes.append(f"{self.name}: {_words(*chosen)}: so they make the keypoints of the file, to {said}")
        elif self.side == "left" or not usual[1]:
            self.notes.append(f"{self.name}: {_words(*usual)}, as is usual: nothing in the file tells it")
        hand, orient, joints, about = made[chosen]
        return hand, chosen, orient, joints, about

    def _usual(self) -> tuple[str, bool]:
        """What parameters usually are: the convention, and whether zero joints are the flat hand."""
        first = self.first
        flat = first.flat if first.flat is not None else first.components is None
        if self.side == "right":
            return "native", flat
        if self.choices.left is not None:
            return self.choices.left, flat
        if first.mirrored is not None:
            return "mirrored" if first.mirrored else "native" if not first.of_crop else "right", flat
        return "right" if first.of_crop else "native", flat

    def _options(self, usual: tuple[str, bool]) -> list[tuple[str, bool]]:
        """What parameters may mean, the usual first."""
        flats = [self.first.flat] if self.first.flat is not None else [True, False]
        asked = [self.choices.left] if self.choices.left else list(CONVENTIONS)
        ways = ["native"] if self.side == "right" else asked
        return list(dict.fromkeys([usual, *((way, flat) for way in ways for flat in flats)]))

    def _as(self, way: str, flat: bool, shape: np.ndarray) -> tuple[ManoHand, np.ndarray, np.ndarray, np.ndarray]:
        """Model, rotations and keypoints about the wrist, where the parameters mean this."""
        hand = self.model("left", way != "native") if self.side == "left" else self.model("right", False)
        source, flip = hand, np.ones(3)
        if self.side == "left" and way == "right":
            source, flip = self.model("right", False), MIRROR
        orient, stored, pca = self.given()
        try:
            joints = source.model.full_pose(stored, pca=pca, flat_hand_mean=flat)
        except ValueError as error:
            raise InputError(f"{self.where}: hand_pose", str(error), "use the published model file") from None
        orient, joints = orient * flip, (joints.reshape(-1, 15, 3) * flip).reshape(-1, 45)
        from scipy.spatial.transform import Rotation

        poses = Poses(np.zeros_like(orient), Rotation.from_rotvec(orient).as_quat(), joints, shape)
        about = posed_keypoints(hand.scene_body(self.name, 1, poses).body, poses).astype(np.float64)
        return hand, orient, joints, about

    def model(self, side: str, mirrored: bool) -> ManoHand:
        if (side, mirrored) not in self.models:
            corrected = self.first.corrected and not mirrored
            how = {"mirrored": mirrored, "correct_left_shape": corrected, "alone": self.choices.alone}
            found = find_mano(self.choices.mano, side, **how)
            self.models[side, mirrored] = found
        return self.models[side, mirrored]

    def given(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """Rotation vectors of the wrist (row, 3), of the joints (row, 45) or their components, and which it is."""
        if self.vectors is None:
            orient = read_joint_matrices(self.need("orient")[:, None], f"{self.where}: global_orient", self.notes)
            stored = self.stacked("components")
            pca = stored is not None
            if stored is None:
                stored = read_joint_matrices(self.need("joints"), f"{self.where}: hand_pose", self.notes)
            self.vectors = orient, stored, pca
        return self.vectors

    # --- keypoints

    def _of_keypoints(self) -> NetworkHand:
        stored, shifts = self.need("keypoints3d"), self.need("translation")
        flip = self.side == "left" and self._is_mirror_image(stored)
        places = stored * [-1.0, 1.0, 1.0] if flip else stored
        about = places - places[:, :1]
        wrists = places[:, 0] + shifts
        _, about, wrists = self.in_front(np.zeros_like(wrists), about, wrists)
        seen = about + self.seen(about, wrists)[:, None]
        deep, flat = np.zeros((self.count, 21, 4)), np.zeros((self.count, 21, 3))
        scores = np.array([record.score for record in self.records])[:, None]
        camera = self.camera
        deep[self.frames, :, :3], deep[self.frames, :, 3] = seen, scores
        pixels = seen[..., :2] / seen[..., 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
        flat[self.frames, :, :2], flat[self.frames, :, 2] = pixels, scores
        said = "no model of MANO is at hand" if self.first.orient is not None else "it has no parameters"
        more = f" (--mano DIR, or {VARIABLE}, takes its parameters)" if self.first.orient is not None else ""
        self.notes.append(f"{self.name}: {said}{more}; our own hand is fitted to its 21 keypoints")
        if flip:
            self.notes.append(f"{self.name}: its keypoints are those of a right hand, mirrored here")
        gone = np.setdiff1d(np.arange(self.count), self.frames)
        if len(gone):
            self.notes.append(f"{self.name} is not seen in {frame_list(gone)}")
        return NetworkHand(SceneBody(read_hand(self.side, name=self.name), 1, False), flat, deep)

    def _is_mirror_image(self, keypoints: np.ndarray) -> bool:
        """Are keypoints of a left hand those of a right one: do its fingers bend to the back of a left hand?"""
        tips, knuckles = (
            np.mean([keypoints[:, 5 + part + 4 * finger] for finger in range(4)], axis=0) for part in (3, 0)
        )
        bent = -np.sum((tips - knuckles) * back_of_hand(keypoints, "left"), axis=1)
        if abs(float(np.median(bent))) > _BENT:
            return bool(np.median(bent) < 0.0)
        return self._usual()[0] == "right"

    # --- the camera

    def in_front(
        self, orient: np.ndarray, about: np.ndarray, wrists: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rotation vectors, keypoints about the wrist and wrists in OpenCV's axes: a hand behind the camera is in
        OpenGL's, y up and z backward.
        """
        self.turned = bool(np.median(wrists[:, 2]) < 0.0)
        if not self.turned:
            return orient, about, wrists
        from scipy.spatial.transform import Rotation

        found = f"its wrist is {np.median(wrists[:, 2]):.3g} m deep (median)"
        self.notes.append(
            f"{self.name}: {found}, behind the camera; OpenGL's axes, y up and z backward, were made OpenCV's"
        )
        turned = Rotation.from_matrix(OPENGL) * Rotation.from_rotvec(orient)
        return turned.as_rotvec(), about @ OPENGL, wrists @ OPENGL

    def seen(self, about: np.ndarray, wrists: np.ndarray) -> np.ndarray:
        """Where the camera sees wrists (row, 3) that a network sees in its own; keeps which camera that is."""
        if not self.first.of_crop:
            return wrists
        moved = about + wrists[:, None]
        if not (moved[..., 2].min() > 0.0 and np.abs(moved).max() < _FARTHEST_M):
            found = f"is {moved[..., 2].min():.3g} m deep at its nearest in the network's camera"
            raise InputError(f"{self.where}: {self.name}", found, "needs places in front of it, z forward")
        depth = float(np.median(moved[..., 2]))
        stated = [record.focal for record in self.records if record.focal is not None and record.focal > 0.0]
        given = float(np.median(stated)) if stated else None
        focal, why = choose_focal(given, self.first.size, depth, self.camera)
        self.network = network = crop_camera(self.camera, focal)
        found = into_picture(about, wrists, network, self.camera, self.choices.points)
        if found is not wrists:
            there = f"{depth:.3g} m away (median)"
            now = float(np.median((about + found[:, None])[..., 2]))
            said = f"seen by a focal length of {focal:.5g} px ({why}) {there}, by the intrinsics {now:.3g} m"
            self.notes.append(f"{self.name}: {said}; it was moved there")
        return found


def _miss(made: np.ndarray, stored: np.ndarray) -> float:
    """How far keypoints are apart [m], median; without tips, for which others take other vertices."""
    return float(np.median(np.linalg.norm(made[:, JOINTS] - stored[:, JOINTS], axis=2)))


def _words(way: str, flat: bool) -> str:
    means = {
        "right": "parameters are of the right hand that it mirrors",
        "mirrored": "parameters are of MANO's right hand mirrored, rotations too",
        "native": "parameters are of MANO's model of its side",
    }
    return means[way] + ("" if flat else ", about the mean pose")
