"""``ho3d``: a sequence of HO-3D version 2 or 3, or of H2O-3D, with its annotations as initial poses and as truth.

The layout is that of the data set's own scripts (vis_HO3D.py, utils/vis_utils.py): OpenGL's camera, y up and z
backward; whole rotation vectors of MANO with a flat mean hand; pickles, which are read as data without running them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.mano import LAYOUT
from warpprior.bodies.readers.mesh import read_mesh
from warpprior.bodies.readers.pickled_arrays import PickledArrays
from warpprior.bodies.readers.safe_pickle import read_pickle
from warpprior.formats.format import Format
from warpprior.formats.parts.ho3d_predictions import JOINTS, OPENGL, Predictions, read_order
from warpprior.formats.parts.ho3d_results import HAND, list_of, write_results
from warpprior.formats.parts.intrinsics import Intrinsics
from warpprior.formats.parts.mano_fit import fit_vertices
from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import complete, filled, spread, with_truth
from warpprior.formats.parts.own_files import find_model
from warpprior.formats.parts.pictures import color_pictures, depth_pictures, label_images, numbered, picture_size
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.recording import Recording
from warpprior.io.images import decode_image, read_image_file
from warpprior.scene import Camera, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option
from warpprior.support.wording import frame_list

DEPTH_UNIT = 0.00012498664727900177  # metres, of depth in two colours
HANDS = {"hand_right": ("hand", "rightHand"), "hand_left": ("leftHand",)}
CHANNEL = {"object": 1, "hand": 2}  # of seg, in RGB: green and blue
MODEL = "textured_simple.obj"
_SAME_K = 0.5  # [px]
_SAME_SHAPE = 1e-4


@dataclass(frozen=True)
class Ho3dOptions:
    """Options of ``ho3d``."""

    mano: Path | None = option("folder of MANO_RIGHT and MANO_LEFT (default: $WARPPRIOR_MANO)", metavar="DIR")
    without_hands: bool = option("read the object alone, without hands", False)
    models: Path | None = option("folder of the YCB models (default: models of the data set)", metavar="DIR")
    rate: float = option("frames per second", number(30.0, 0.01, 10_000.0))
    predictions: Path | None = option("pred.json of a hand network: the hand to start from", metavar="FILE")
    order: Path | None = option(
        "list of the frames of pred.json (default: evaluation.txt of the data set)", metavar="FILE"
    )
    fill: Path | None = option(
        "pred.json for frames that were not estimated, to write (default: --predictions)", metavar="FILE"
    )


class Ho3dFormat(Format):
    """A sequence of HO-3D or H2O-3D."""

    name = "ho3d"
    title = "a sequence of HO-3D (v2, v3) or H2O-3D"
    reads = (
        "object, hands (MANO), colours, depth and masks of seg; poses are truth and start; hands of predictions "
        "(pred.json) instead"
    )
    writes = "pred.json of one sequence or several in the order of evaluation.txt, as its eval.py takes it"
    verified = (
        "files made in the layout of the data set's own scripts, pred.json by what its eval.py does with it; colours "
        "of seg by third parties' code alone"
    )
    Options = Ho3dOptions

    def recognises(self, path: Path) -> str:
        there = (path / "meta").is_dir() and (path / "rgb").is_dir()
        return "meta/*.pkl and rgb" if there and any((path / "meta").glob("*.pkl")) else ""

    def splits_of(self, path: Path) -> tuple[str, ...]:
        """The folder of the sequence: ``train`` or ``evaluation``."""
        name = path.absolute().parent.name
        return (name,) if name in ("train", "evaluation", "test") else ()

    def read(self, source: Path, options: Ho3dOptions) -> Recording:
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: Ho3dOptions) -> tuple[str, ...]:
        return self.write_several((recording,), folder, options)

    def write_several(self, recordings: Sequence[Recording], folder: Path, options: Ho3dOptions) -> tuple[str, ...]:
        for recording in recordings:
            self.origin_of(recording, "a sequence", "predictions are of frames of HO-3D")
        return write_results(recordings, folder, options.order, options.fill or options.predictions)


FORMAT = Ho3dFormat()


class _Reader:
    """One sequence being read."""

    def __init__(self, source: Path, options: Ho3dOptions):
        self.source, self.options, self.notes = source.absolute(), options, []
        files = numbered(source / "meta", (".pkl",), root=source)
        if not files:
            raise InputError(str(source), "holds no meta/0000.pkl", "needs a sequence: train/ABF10")
        self.timeline = Timeline.of(files, str(source / "meta"), self.notes)
        self.metas: dict[int, _Meta] = {
            frame: _Meta(path)
            for frame, path in self.timeline.by_frame(files, str(source / "meta"), self.notes).items()
        }
        self.count = self.timeline.count

    def read(self) -> Recording:
        camera, colors = self._camera()
        item = self._object()
        bodies = [] if item is None else [item]
        for name, keys in HANDS.items():
            hand = None if self.options.without_hands else self._hand(name, keys)
            if name == HAND and self.options.predictions is not None and not self.options.without_hands:
                hand = self._predicted(self.options.predictions, hand)
            bodies += [] if hand is None else [hand]
        if self.options.predictions is None or self.options.without_hands:
            self.notes.append("poses to start from are the annotations of the data set, which are its truth, too")
        if not bodies:
            raise InputError(str(self.source), "has poses of nothing", "needs a sequence with annotations")
        bodies = [replace(body, label=label) for label, body in enumerate(bodies, start=1)]
        labels = self._labels(camera, bodies)
        depths = self.timeline.by_frame(self._files("depth"), str(self.source / "depth"), self.notes)
        scene = Scene(
            name=self.source.name or "ho3d",
            camera=camera,
            fps=self.options.rate,
            bodies=tuple(bodies),
            labels=labels,
            read_rgb=color_pictures(colors, camera),
            read_depth=depth_pictures(depths, camera, _depth_of_colors, colored=True),
            warnings=tuple(self.notes),
        )
        return Recording(scene)

    def _files(self, name: str) -> dict[int, Path]:
        return numbered(self.source / name, root=self.source)

    def _stacked(self, key: str, size: int) -> np.ndarray:
        """One key of all frames (frame, size), NaN where there is none."""
        rows = np.full((self.count, size), np.nan)
        for frame, meta in self.metas.items():
            found = meta.numbers(key, size)
            if found is not None:
                rows[frame] = found
        return rows

    def _camera(self) -> tuple[Camera, dict[int, Path]]:
        matrices = self._stacked("camMat", 9)
        there = complete(matrices)
        if not there.any():
            raise InputError(str(self.source / "meta"), "has no camMat", "needs a sequence of HO-3D")
        usual = np.median(matrices[there], axis=0)
        apart = np.flatnonzero(there & (np.abs(matrices - usual).max(axis=1) > _SAME_K))
        if len(apart):
            raise InputError(str(self.source / "meta"), f"camMat differs in {frame_list(apart)}", "one camera")
        colors = self.timeline.by_frame(self._files("rgb"), str(self.source / "rgb"), self.notes)
        size = picture_size(next(iter(colors.values()))) if colors else (640, 480)
        found = Intrinsics(usual[0], usual[4], usual[2], usual[5])
        return found.camera(size, None, "camMat", self.notes), colors

    def _object(self) -> SceneBody | None:
        from scipy.spatial.transform import Rotation

        turns, places = self._stacked("objRot", 3), self._stacked("objTrans", 3)
        valid = complete(turns) & complete(places)
        if not valid.any():
            self.notes.append("the object has a pose in no frame; it was left out")
            return None
        names = sorted({name for meta in self.metas.values() if (name := meta.text("objName"))})
        if len(names) != 1 or "/" in names[0] or names[0].startswith("."):
            raise InputError(f"{self.source / 'meta'}: objName", f"is {str(names)[:60]}", "needs one object")
        name = names[0]
        turned = Rotation.from_matrix(OPENGL) * Rotation.from_rotvec(np.where(valid[:, None], turns, 0.0))
        poses = filled(self.source, name, places @ OPENGL, turned.as_quat(), valid, self.notes)
        self.notes.append("OpenGL's axes, y up and z backward, were made OpenCV's")
        path = self._model(name)
        body = read_mesh(path, name)
        self.notes += [f"{name}: {warning}" for warning in body.warnings]
        return with_truth(SceneBody(replace(body, warnings=()), 1, False, poses, source=path))

    def _model(self, name: str) -> Path:
        places = [self.options.models] if self.options.models else [up / "models" for up in self.source.parents[:3]]
        path = find_model(places, [f"{name}/{MODEL}"], self.notes)
        if path is None:
            raise InputError(str(places[-1]), f"holds no {name}/{MODEL}", "the YCB-Video models: --models DIR")
        return path

    def _hand(self, name: str, keys: tuple[str, ...]) -> SceneBody | None:
        from scipy.spatial.transform import Rotation

        side = name.removeprefix("hand_")
        for key in keys:
            pose, shifts = self._stacked(f"{key}Pose", 48), self._stacked(f"{key}Trans", 3)
            shapes = self._stacked("handBeta" if key == "hand" else f"{key}Beta", 10)
            shapes = shapes if np.isfinite(shapes).any() else self._stacked("handBeta", 10)
            valid = complete(pose) & complete(shifts) & complete(shapes)
            if valid.any():
                break
        else:
            if side == "right":
                self.notes.append("the hand has a pose in no frame, as in the evaluation split; it was left out")
            return None
        shape = shapes[valid][0]
        if np.abs(shapes[valid] - shape).max() > _SAME_SHAPE:
            self.notes.append(f"{name}: shapes differ between frames; that of the first was taken")
        hand = find_mano(self.options.mano, side)
        plain = np.where(valid[:, None], pose, 0.0)
        turned = Rotation.from_matrix(OPENGL) * Rotation.from_rotvec(plain[:, :3])
        wrist = (np.where(valid[:, None], shifts, 0.0) + hand.root(shape)) @ OPENGL
        poses = filled(self.source, name, wrist, turned.as_quat(), valid, self.notes, joints=plain[:, 3:], shape=shape)
        return with_truth(hand.scene_body(name, 1, poses))

    def _predicted(self, file: Path, truth: SceneBody | None) -> SceneBody:
        """The right hand as a network has it; what is annotated stays its truth."""
        listed = list_of(self.source, self.options.order)
        if listed is None:
            raise InputError(str(file), "does not say of which frames it is", "--order evaluation.txt")
        predictions = Predictions(file, read_order(listed))
        hand, places = find_mano(self.options.mano, "right"), {}
        for frame, number_of in enumerate(self.timeline.numbers):
            found = predictions.frame((self.source.name, number_of))
            if found is not None and found[1].shape[0] != LAYOUT.vertices:
                accepted = f"those of MANO, {LAYOUT.vertices}"
                raise InputError(f"{file}: {self.source.name}", f"has {found[1].shape[0]} vertices", accepted)
            if found is not None and (found[1][:, 2] > 0.0).all():  # what is nowhere was not predicted
                places[frame] = found
        if not places:
            raise InputError(str(file), f"has no hand of {self.source.name}", f"predictions in the order of {listed}")
        keypoints = np.stack([joints[np.argsort(JOINTS)] for joints, _ in places.values()])
        fitted, off = fit_vertices(hand, np.stack([vertices for _, vertices in places.values()]), keypoints)
        self.notes.append(
            f"{HAND} starts from {file.name}: MANO fitted to its vertices, {1000 * off:.2g} mm off (median)"
        )
        poses = spread(self.source, HAND, fitted, np.array(list(places)), self.count, self.notes)
        item = hand.scene_body(HAND, 1, poses)
        return item if truth is None else replace(item, truth=truth.truth)

    def _labels(self, camera: Camera, bodies: list[SceneBody]) -> np.ndarray | None:
        """Label images of seg, whose green is the object and whose blue is the hand; of one hand alone."""
        files = self.timeline.by_frame(self._files("seg"), str(self.source / "seg"), self.notes)
        hands = [body for body in bodies if body.name in HANDS]
        if not files or len(hands) > 1:
            why = "colours of seg do not tell two hands apart" if files else "there is no seg"
            self.notes.append(f"no labels: {why}; nothing holds bodies to the pictures")
            return None
        size = picture_size(next(iter(files.values())))
        if size != (camera.width, camera.height):
            self.notes.append(f"no labels: seg has {size[0]} x {size[1]} pixels, not those of the pictures")
            return None
        self.notes.append("seg: green is taken to be the object, blue the hand")
        masks = {body.label: _Channel(files, camera, CHANNEL["hand" if body in hands else "object"]) for body in bodies}
        names = {body.label: body.name for body in bodies}
        return label_images(masks, self.count, camera, names, "seg", self.notes)


@dataclass(frozen=True)
class _Channel:
    """Masks in one colour of pictures by frame."""

    paths: dict[int, Path]
    camera: Camera
    channel: int

    def __call__(self, frame: int) -> np.ndarray | None:
        if frame not in self.paths:
            return None
        where = f"{self.paths[frame]} (frame {frame})"
        header, data = read_image_file(self.paths[frame], where, self.camera)
        return decode_image(header, data, where, color=True)[..., self.channel] > 127


def _depth_of_colors(colors: np.ndarray) -> np.ndarray:
    """Metres of two colours: red the low byte, green the high one."""
    return (colors[..., 0].astype(np.float64) + 256.0 * colors[..., 1]) * DEPTH_UNIT


class _Meta:
    """The annotations of one frame."""

    def __init__(self, path: Path):
        self.path = path
        tree = read_pickle(path, "annotations of HO-3D")
        self.tree: dict[Any, Any] = tree if isinstance(tree, dict) else {}
        self.arrays = PickledArrays(str(path), tree)

    def numbers(self, key: str, size: int) -> np.ndarray | None:
        """So many numbers, or None where there are none, or fewer, as in the evaluation split."""
        if self.tree.get(key) is None:
            return None
        values = self.arrays.array(key)
        if values.size != size or values.dtype.kind not in "iuf":
            raise InputError(f"{self.path}: {key}", f"{values.dtype} of shape {values.shape}", f"needs {size} numbers")
        found = np.ravel(values).astype(np.float64)
        if not np.isfinite(found).all() or np.abs(found).max() > 1e6:
            raise InputError(f"{self.path}: {key}", "is not finite, or far too large", f"needs {size} numbers")
        return found

    def text(self, key: str) -> str:
        """A text, or an empty one."""
        value = self.tree.get(key)
        value = value.decode("latin-1") if isinstance(value, bytes) else value
        return value if isinstance(value, str) and value.isprintable() and len(value) < 100 else ""
