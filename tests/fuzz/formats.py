"""The formats: seeds of each, how they are changed, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tests.fuzz import others, seeds
from tests.fuzz.mutators import BYTES, TEXT, Mutator
from tests.fuzz.stages import write_stage
from tests.fuzz.structures import (
    change_json,
    change_json_of_glb,
    change_npz,
    change_pickle,
    change_png,
    change_xml,
    with_bytes,
)
from warpprior.bodies.body import Body
from warpprior.scene import Scene


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        file: where it lies in the folder that is read.
        seeds: makes valid files, given that folder.
        mutators: what changes them.
        read: reads the folder, or the file in it, by what is public.
        beside: fills the folder with what else is needed.
        seconds: more than that is a hang.
    """

    file: str
    seeds: Callable[[Path], Sequence[bytes]]
    mutators: Sequence[Mutator]
    read: Callable[[Path], None]
    beside: Callable[[Path], object]
    seconds: float = 5.0

    @property
    def has_pictures(self) -> bool:
        """The decoders inside OpenCV write what they find on standard error."""
        return self.file.endswith((".png", ".glb", ".gltf", ".mp4"))


def _read_scene(path: Path) -> None:
    """The scene around a file, and all its pictures."""
    from warpprior import load_scene

    folder = next(parent for parent in path.parents if (parent / "scene.toml").exists())
    scene = load_scene(folder)
    for frame in range(min(scene.frame_count, 5)):
        for read in (scene.read_rgb, scene.read_depth):
            if read is not None:
                read(frame)
    for item in scene.bodies:
        _check(item.body)
        assert np.isfinite(item.initial.position).all(), "a pose that is not finite"


def _read_result(path: Path) -> None:
    """The poses of a result, by its folder and by its file."""
    from warpprior.io import load_result_poses
    from warpprior.io.checkpoint import load_checkpoint

    for place in (path.parent, path.parent / "poses.npz"):
        for poses in load_result_poses(place, _scene_of(path.parents[1]), notes=[]).values():
            assert np.isfinite(poses.position).all(), "a pose that is not finite"
    load_checkpoint(path.parent)


@lru_cache(maxsize=1)
def _scene_of(folder: Path) -> Scene:
    from warpprior import load_scene

    return load_scene(folder)


def _read_body(path: Path, reader: str, *more: object, **options: object) -> None:
    """One file as a body."""
    import warpprior

    _check(getattr(warpprior, reader)(path, *more, **options))


def _read_obj_beside(path: Path) -> None:
    _read_body(path.parent / "box.obj", "read_mesh", "box")


def _check(body: Body) -> None:
    """What was accepted is a surface: a reader that lets more pass has failed."""
    surfaces = body.surfaces
    assert surfaces.size and np.isfinite(surfaces).all(), "vertices that are not finite"
    assert len(body.faces) and 0 <= body.faces.min() <= body.faces.max() < body.vertex_count, "faces without vertices"
    assert body.colors is None or np.isfinite(body.colors).all(), "colours that are not finite"


def _with_box(folder: Path) -> None:
    """A mesh with a material and a picture, for what refers to them."""
    folder.mkdir()
    (folder / "box.obj").write_bytes(seeds.objs()[2])
    (folder / "box.mtl").write_bytes(seeds.mtls()[0])
    (folder / "box.png").write_bytes(seeds.pictures("rgb")[0])


def _of_scene(file: str, mutators: Sequence[Mutator], made: Callable[[], Sequence[bytes]] | None = None) -> Format:
    """A file of the whole small scene."""

    def take(folder: Path) -> Sequence[bytes]:
        return [(folder / file).read_bytes(), *(() if made is None else made())]

    return Format(file, take, mutators, _read_scene, seeds.write_whole_scene)


def _of_result(file: str, mutators: Sequence[Mutator]) -> Format:
    """A file of a result folder inside the scene's."""
    place = f"result/{file}"
    return Format(
        place, lambda folder: [(folder / place).read_bytes()], mutators, _read_result, seeds.write_scene_and_result
    )


def _of_body(
    file: str, made: Callable[[], Sequence[bytes]], mutators: Sequence[Mutator], read: Callable[[Path], None]
) -> Format:
    seconds = 20.0 if file.startswith("box.usd") else 5.0  # OpenUSD has a process of its own, with limits of its own
    return Format(file, lambda folder: made(), mutators, read, _with_box, seconds)


def _read_format(path: Path, name: str, **options: object) -> None:
    """A file or folder of others, and its pictures."""
    from warpprior import read

    recording = read(path, name, **options)
    for item in recording.scene.bodies:
        _check(item.body)
        assert np.isfinite(item.initial.position).all(), "a pose that is not finite"
    for look in (recording.scene.read_rgb, recording.scene.read_depth):
        if look is not None:
            look(0)
    if recording.world.camera is not None:
        assert np.isfinite(recording.world.camera.position).all(), "a camera that is nowhere"


def _of_others(
    name: str,
    place: str,
    mutators: Sequence[Mutator],
    beside: Callable[[Path], object],
    depth: int,
    *,
    below: str = "",
    **options: object,
) -> Format:
    """A file of a format of others, at ``place`` in what ``beside`` writes.

    What is read is the folder ``below`` the one that is ``depth`` above the file.
    """

    def take(folder: Path) -> Sequence[bytes]:
        return [(folder / place).read_bytes()]

    def read(path: Path) -> None:
        folder = path.parents[depth - 1]
        files = ("mano", "results", "predictions", "joints", "mapping")
        more = {key: folder / str(value) if key in files else value for key, value in options.items()}
        _read_format(folder / below, name, **more)

    return Format(place, take, mutators, read, beside, seconds=20.0)


def _read_plain(path: Path) -> None:
    """A pickle as plain data."""
    from warpprior.bodies.readers.plain_pickle import read_plain

    read_plain(path, "data")


def _of_clip(file: str, mutators: Sequence[Mutator], part: str) -> Format:
    """A file of a folder of loose outputs, which is named as what it is."""
    chosen = {part: (file,) if part in ("object_poses", "hand_keypoints") else file}
    return _of_others("clip", file, mutators, partial(others.write_clips, **{part: file}), 1, **chosen)


_NPZ, _PNG, _MOVING = with_bytes(change_npz), with_bytes(change_png), {"frame_count": seeds.FRAMES}
_JSON = (*[change_json] * 12, *TEXT)
TACO_NAME = "(stir, spoon, bowl)/20231105_019"
TACO, HOCAP = f"Object_Poses/{TACO_NAME}", "subject_1/20231025_165502"
GRASP = "full28_use/mug"
ARCTIC = "raw_seqs/s01/box_use_01.mano.npy"
_USD = {"frame_count": seeds.USD_FRAMES, "fps": 10.0}

FORMATS: dict[str, Format] = {
    "scene.toml": _of_scene("scene.toml", TEXT),
    "initial-npz": _of_scene("initial.npz", _NPZ),
    "truth-npz": _of_scene("truth.npz", _NPZ),
    "keypoints-npz": _of_scene("keypoints.npz", _NPZ),
    "contact-maps-npz": _of_scene("contact_maps.npz", _NPZ),
    "timestamps-npz": _of_scene("timestamps.npz", _NPZ),
    "labels-png": _of_scene("labels/000001.png", _PNG, partial(seeds.pictures, "labels")),
    "rgb-png": _of_scene("rgb/000001.png", _PNG, partial(seeds.pictures, "rgb")),
    "depth-png": _of_scene("depth/000001.png", _PNG),
    "rgb-jpeg": _of_scene("rgb/000002.png", BYTES, seeds.jpegs),
    "result-npz": _of_result("poses.npz", _NPZ),
    "result-json": _of_result("config.json", (*[change_json] * 12, *TEXT)),
    "checkpoint-npz": _of_result("checkpoint.npz", _NPZ),
    "animation-npz": _of_body(
        "moving.npz", seeds.animations, _NPZ, partial(_read_body, reader="read_animated", name="a", **_MOVING)
    ),
    "obj": _of_body("box.obj", seeds.objs, TEXT, partial(_read_body, reader="read_mesh", name="box")),
    "mtl": _of_body("box.mtl", seeds.mtls, TEXT, _read_obj_beside),
    "texture-png": _of_body("box.png", partial(seeds.pictures, "rgb"), _PNG, _read_obj_beside),
    "ply": _of_body("box.ply", seeds.plys, TEXT, partial(_read_body, reader="read_mesh", name="box")),
    "stl": _of_body("box.stl", seeds.stls, TEXT, partial(_read_body, reader="read_mesh", name="box")),
    "glb": _of_body(
        "box.glb", seeds.glbs, with_bytes(change_json_of_glb), partial(_read_body, reader="read_mesh", name="box")
    ),
    "gltf": _of_body(
        "box.gltf", seeds.gltfs, (*[change_json] * 12, *TEXT), partial(_read_body, reader="read_mesh", name="box")
    ),
    "dae": _of_body(
        "box.dae", seeds.daes, (*[change_xml] * 12, *TEXT), partial(_read_body, reader="read_mesh", name="box")
    ),
    "skin-glb": _of_body(
        "finger.glb", seeds.skins, with_bytes(change_json_of_glb), partial(_read_body, reader="read_skin", name="f")
    ),
    "urdf": _of_body(
        "arm.urdf", seeds.urdfs, (*[change_xml] * 12, *TEXT), partial(_read_body, reader="read_urdf", name="arm")
    ),
    "mano-pickle": _of_body(
        "hand.pkl", partial(seeds.manos, "pkl"), with_bytes(change_pickle), partial(_read_body, reader="read_mano")
    ),
    "mano-npz": _of_body("hand.npz", partial(seeds.manos, "npz"), _NPZ, partial(_read_body, reader="read_mano")),
    "camera-poses-npz": _of_others("scene", "camera_poses.npz", _NPZ, seeds.write_scene_of_moving_camera, 1),
    "v2d-npz": _of_others("v2d", "result/result.npz", _NPZ, others.write_v2d, 2, mano="mano"),
    "v2d-json": _of_others("v2d", "intrinsics_stable.json", _JSON, others.write_v2d, 1, without_hands=True),
    "v2d-geocalib": _of_others("v2d", "geocalib/calibration.json", _JSON, others.write_v2d, 2, without_hands=True),
    "v2d-mask": _of_others("v2d", "masks/1/000001.png", _PNG, others.write_v2d, 3, without_hands=True),
    **{
        f"clip-{Path(file).stem}{Path(file).suffix}": _of_others("clip", file, how, others.write_clips, depth)
        for file, how, depth in (
            ("cam_K.txt", TEXT, 1),
            ("ob_in_cam/000001.txt", TEXT, 2),
            ("hand_right_keypoints.npy", BYTES, 1),
        )
    },
    "clip-masks-json": _of_clip("masks.json", _JSON, "masks"),
    "clip-masks-npz": _of_clip("masks.npz", _NPZ, "masks"),
    "clip-masks-npy": _of_clip("masks.npy", BYTES, "masks"),
    "clip-video": _of_clip("take.mp4", BYTES, "rgb"),
    "clip-tum": _of_clip("track.txt", TEXT, "object_poses"),
    "clip-poses-json": _of_clip("poses.json", _JSON, "object_poses"),
    "clip-poses-npy": _of_clip("poses.npy", BYTES, "object_poses"),
    "clip-intrinsics-json": _of_clip("intrinsics.json", _JSON, "intrinsics"),
    "clip-intrinsics-yaml": _of_clip("camera.yaml", TEXT, "intrinsics"),
    "clip-keypoints-json": _of_clip("hand_right.json", _JSON, "hand_keypoints"),
    "clip-colmap": _of_clip("cameras.txt", TEXT, "intrinsics"),
    "bop-camera": _of_others("bop", "set/test/000007/scene_camera.json", _JSON, others.write_bop, 1),
    "bop-lens": _of_others("bop", "set/test/000007/scene_camera.json", _JSON, others.write_bop_lens, 1),
    "bop-truth": _of_others("bop", "set/test/000007/scene_gt.json", _JSON, others.write_bop, 1),
    "bop-models": _of_others("bop", "set/models/models_info.json", _JSON, others.write_bop, 2, below="test/000007"),
    "bop-results": _of_others("bop", "set/test/000007/r.csv", TEXT, others.write_bop, 1, results="r.csv"),
    "dexycb-meta": _of_others("dexycb", f"{others.DEXYCB}/meta.yml", TEXT, others.write_dexycb, 1, without_hands=True),
    "dexycb-labels": _of_others(
        "dexycb", f"{others.DEXYCB}/{others.SERIAL}/labels_000001.npz", _NPZ, others.write_dexycb, 2, without_hands=True
    ),
    "dexycb-intrinsics": _of_others(
        *("dexycb", f"data/calibration/intrinsics/{others.SERIAL}_160x120.yml", TEXT, others.write_dexycb, 3),
        below=others.DEXYCB.removeprefix("data/"),
        without_hands=True,
    ),
    **{
        f"arctic-{name}": _of_others("arctic", place, how, others.write_arctic, depth, below=ARCTIC, mano="mano")
        for name, place, how, depth in (
            ("hands", ARCTIC, BYTES, 3),
            ("object", "raw_seqs/s01/box_use_01.object.npy", BYTES, 3),
            ("camera", "raw_seqs/s01/box_use_01.egocam.dist.npy", BYTES, 3),
            ("misc", "meta/misc.json", _JSON, 2),
            ("parts", "meta/object_vtemplates/box/parts.json", _JSON, 4),
        )
    },
    **{
        f"contactpose-{name}": _of_others(
            "contactpose", f"{GRASP}/{file}", _JSON, others.write_contactpose, 3, below=GRASP, mano="mano"
        )
        for name, file in (("frames", "annotations.json"), ("fits", "mano_fits_15.json"))
    },
    **{
        f"taco-{name}": _of_others("taco", place, how, others.write_taco, depth, below=TACO, mano="mano")
        for name, place, how, depth in (
            ("hand", f"Hand_Poses/{TACO_NAME}/right_hand.pkl", with_bytes(change_pickle), 4),
            ("shape", f"Hand_Poses/{TACO_NAME}/right_hand_shape.pkl", with_bytes(change_pickle), 4),
            ("object", f"{TACO}/tool_032.npy", BYTES, 4),
            ("camera", f"Egocentric_Camera_Parameters/{TACO_NAME}/egocentric_intrinsic.txt", TEXT, 4),
        )
    },
    **{
        f"hocap-{name}": _of_others("hocap", place, how, others.write_hocap, depth, below=HOCAP, mano="mano")
        for name, place, how, depth in (
            ("meta", f"{HOCAP}/meta.yaml", TEXT, 3),
            ("poses", f"{HOCAP}/poses_o.npy", BYTES, 3),
            ("labels", f"{HOCAP}/{others.HOCAP_SERIAL}/label_000001.npz", _NPZ, 4),
            ("extrinsics", "calibration/extrinsics/extrinsics_20231014.yaml", TEXT, 3),
        )
    },
    **{
        f"dexycb-{option}": _of_others(
            *("dexycb", f"20200703-subject-03/20200709_000004/{file}", TEXT, others.write_dexycb_results, 1),
            mano="../../mano",
            **{option: file},
        )
        for option, file in (("results", "bop_s0_test.csv"), ("joints", "hpe_s0_test.txt"))
    },
    "ho3d-meta": _of_others(
        "ho3d", "data/train/MC1/meta/0001.pkl", with_bytes(change_pickle), others.write_ho3d, 2, without_hands=True
    ),
    "ho3d-predictions": _of_others(
        *("ho3d", "data/train/MC1/pred.json", TEXT, others.write_ho3d_predictions, 1),
        mano="../../mano",
        predictions="pred.json",
    ),
    "hot3d-poses": _of_others("hot3d", "P1/dynamic_objects.csv", TEXT, others.write_hot3d, 1),
    "hot3d-cameras": _of_others("hot3d", "P1/camera_models.json", _JSON, others.write_hot3d, 1),
    "hot3d-hands": _of_others("hot3d", "P1/umetrack_hand_pose_trajectory.jsonl", TEXT, others.write_hot3d, 1),
    "hot3d-profile": _of_others("hot3d", "P1/umetrack_hand_user_profile.json", _JSON, others.write_hot3d, 1),
    "hot3d-clip": _of_others("hot3d", "clip-000001.tar", BYTES, others.write_hot3d, 1, below="clip-000001.tar"),
    "plain-pickle": Format("a.pth", seeds.plain_pickles, with_bytes(change_pickle), _read_plain, _with_box),
    "plain-joblib": Format("a.pth", seeds.joblib_files, BYTES, _read_plain, _with_box),
    "plain-torch": Format("a.pt", seeds.torch_archives, BYTES, _read_plain, _with_box),
    **{
        f"hamer-{file.rpartition('.')[2]}": _of_others(
            "hamer", file, how, others.write_network_hands, 1, below=file, mano="mano", width=160, height=120
        )
        for file, how in (("hands.json", _JSON), ("hands.pkl", with_bytes(change_pickle)), ("hands.npy", BYTES))
    },
    "dynhamr-npz": _of_others(
        *("dyn_hamr", "run/smooth_fit/clip_000060_world_results.npz", _NPZ, others.write_network_hands, 2),
        mano="../mano",
    ),
    "dynhamr-tracks": _of_others(
        "dyn_hamr", "run/track_info.json", _JSON, others.write_network_hands, 1, mano="../mano"
    ),
    "hawor-result": _of_others(
        "hawor", "video/world_space_res.pth", BYTES, others.write_network_hands, 1, mano="../mano"
    ),
    "hawor-slam": _of_others(
        "hawor", "video/SLAM/hawor_slam_w_scale_0_5.npz", _NPZ, others.write_network_hands, 2, mano="../mano"
    ),
    "hawor-camera": _of_others(
        "hawor", "video/cam_space/0/0_1.json", _JSON, others.write_network_hands, 3, mano="../mano"
    ),
    "openxr-json": _of_others("openxr", "hands.json", _JSON, others.write_xr_hands, 1, below="hands.json"),
    "openxr-npz": _of_others("openxr", "hands.npz", _NPZ, others.write_xr_hands, 1, below="hands.npz"),
    "mediapipe-json": _of_others(
        "mediapipe", "hands.json", _JSON, others.write_hand_tables, 1, below="hands.json", width=160, height=120
    ),
    "aria-hands": _of_others(
        "aria_hands", "hand_tracking/hand_tracking_results.csv", TEXT, others.write_hand_tables, 2
    ),
    "aria-trajectory": _of_others("aria_hands", "slam/closed_loop_trajectory.csv", TEXT, others.write_hand_tables, 2),
    "usda": _of_body("box.usda", seeds.usdas, TEXT, partial(_read_body, reader="read_animated", name="a", **_USD)),
    "usdc": _of_body("box.usdc", seeds.usdcs, BYTES, partial(_read_body, reader="read_animated", name="a", **_USD)),
    **{
        f"usd-{ending}": _of_others("usd", f"s.{ending}", how, write_stage, 1, below=f"s.{ending}")
        for ending, how in (("usda", TEXT), ("usdc", BYTES), ("usdz", BYTES))
    },
}
if find_spec("h5py") is not None:
    FORMATS["egodex-hdf5"] = _of_others("egodex", "7.hdf5", BYTES, others.write_egodex, 1, below="7.hdf5")
if find_spec("pyarrow") is not None:
    FORMATS["motion-parquet"] = _of_others("motion_v1", "motion.parquet", BYTES, others.write_motion, 1)
    FORMATS["sharpa-parquet"] = _of_others("mano_sharpa", "pour.parquet", BYTES, others.write_sharpa, 1, hands="joints")
    FORMATS |= {
        f"lerobot-{name}": _of_others(
            *("lerobot", f"set/{file}", how, others.write_lerobot, depth), mapping="map.json", mano="mano", episode=1
        )
        for name, file, how, depth in (
            ("mapping", "map.json", _JSON, 1),
            ("info", "meta/info.json", _JSON, 2),
            ("data", "data/chunk-000/file-000.parquet", BYTES, 3),
            ("episodes", "meta/episodes/chunk-000/file-000.parquet", BYTES, 4),
        )
    }
"""All formats by name."""
