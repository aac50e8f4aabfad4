"""Files: scene folders in, result folders out.  Nothing is read twice, nothing is written in part."""

from warpprior.io.atomic import atomic_folder, atomic_path, atomic_write
from warpprior.io.checkpoint import load_checkpoint, save_checkpoint
from warpprior.io.fingerprint import fingerprint
from warpprior.io.locks import OutputLock
from warpprior.io.output import prepare_file, prepare_folder, prepare_output
from warpprior.io.poses import load_poses, load_truth, save_poses
from warpprior.io.results import load_result_poses, save_result
from warpprior.io.scene_folder import load_scene
from warpprior.io.scene_writer import save_scene

__all__ = [
    "OutputLock",
    "atomic_folder",
    "atomic_path",
    "atomic_write",
    "fingerprint",
    "load_checkpoint",
    "load_poses",
    "load_result_poses",
    "load_scene",
    "load_truth",
    "prepare_file",
    "prepare_folder",
    "prepare_output",
    "save_checkpoint",
    "save_poses",
    "save_result",
    "save_scene",
]
