"""What the files are made of: a simulated scene, small, and made-up models in MANO's layout."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.mano_files import mano_arrays

FRAMES = 5


@lru_cache(maxsize=3)
def simulated(side="right", object="mug"):
    """A simulated grasp, of a mug unless said: exact initial poses, labels, colours, 160 x 120 pixels."""
    from warpprior.scene import Camera
    from warpprior.scenes import simulate

    camera = Camera(160, 120, 150.0, 151.0, 80.5, 60.25)
    exact = {"mask_noise": "M0", "pose_noise": "exact", "hand_noise": "exact"}
    return simulate("grasp_lift", object=object, seed=3, frame_count=FRAMES, camera=camera, side=side, **exact)


def object_of(scene):
    """The only rigid body."""
    (item,) = (item for item in scene.bodies if item.body.is_rigid)
    return item


def hand_item(scene):
    """The hand."""
    return next(item for item in scene.bodies if not item.body.is_rigid)


def transforms(poses):
    """camera_from_body (frame, 4, 4)."""
    matrices = np.tile(np.eye(4), (len(poses.position), 1, 1))
    matrices[:, :3, :3] = Rotation.from_quat(poses.rotation).as_matrix()
    matrices[:, :3, 3] = poses.position
    return matrices


def write_obj(path: Path, vertices, faces, head=()):
    """A mesh as OBJ."""
    lines = [*head, *("v {:.9g} {:.9g} {:.9g}".format(*place) for place in vertices)]
    path.write_text("\n".join([*lines, *("f {} {} {}".format(*(face + 1)) for face in faces), ""]))


def write_mano(folder: Path, *sides) -> dict:
    """Made-up models in MANO's layout as MANO_RIGHT.npz and MANO_LEFT.npz; their arrays by side."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {side: mano_arrays(side, seed=1) for side in sides or ("right", "left")}
    for side, arrays in made.items():
        np.savez(folder / f"MANO_{side.upper()}.npz", **arrays)
    return made


def write_png(path: Path, image):
    """A picture, in folders that are made."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
