"""The commands that make and convert scenes, motions and models."""

from __future__ import annotations

from pathlib import Path

from warpprior.commands.running import OK, first_frames, refuse_existing, start_warp, tell, tell_warnings
from warpprior.support.device import self_healing
from warpprior.support.errors import InputError

DEFAULT_FRAMES = 60


def simulate(
    name: str,
    output_dir: Path,
    *,
    seed: int = 0,
    num_frames: int | None = None,
    object_name: str | None = None,
    mesh: Path | None = None,
    side: str | None = None,
    second_object: str | None = None,
    occluded_frames: tuple[int, int] | None = None,
    pose_noise: str | None = None,
    hand_noise: str | None = None,
    mask_noise: str = "M1",
    point_noise: str = "sensor",
    depth: bool = False,
    device: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Make a built-in scene and write it as a scene folder; see :func:`warpprior.simulate` for the arguments."""
    from warpprior.io import save_scene
    from warpprior.scenes import simulate as build

    refuse_existing(output_dir, overwrite)
    chosen = start_warp(device, quiet)
    scene = self_healing(
        lambda: build(
            name,
            seed=seed,
            frame_count=num_frames or DEFAULT_FRAMES,
            object=object_name,
            mesh=mesh,
            side=side,
            second_object=second_object,
            occluded_frames=occluded_frames,
            pose_noise=pose_noise,
            hand_noise=hand_noise,
            mask_noise=mask_noise,
            point_noise=point_noise,
            depth=depth,
            device=chosen,
        )
    )
    save_scene(scene, output_dir, overwrite=overwrite)
    tell(quiet, f"{scene.frame_count} frames of {scene.name} in {output_dir}", f"next: warpprior refine {output_dir}")
    return OK


def export(
    scene_folder: Path,
    poses_file: Path | None,
    output: Path,
    *,
    num_frames: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Write a pose file, or the scene's initial poses, as a USD stage."""
    from warpprior.io import load_scene, prepare_file
    from warpprior.usd import export_usd

    prepare_file(output, overwrite=overwrite)
    start_warp("cpu", quiet)
    scene, poses = first_frames(load_scene(scene_folder), poses_file, num_frames)
    tell_warnings(scene, quiet)
    self_healing(lambda: export_usd(scene, poses, output))
    tell(quiet, f"{scene.frame_count} frames in {output}")
    return OK


def convert_mano(model: Path, output: Path, *, overwrite: bool = False, quiet: bool = False) -> int:
    """Write the arrays of a MANO file, a published pickle for instance, as an ``.npz`` of plain arrays.

    Args:
        model: ``MANO_RIGHT.pkl`` or ``MANO_LEFT.pkl``; read without running any of it.
        output: ends in ``.npz``.
        overwrite: ``output`` may exist.
        quiet: print nothing.

    Raises:
        InputError: the file is damaged or no MANO model, or ``output`` cannot be used.
    """
    from warpprior.bodies.readers.mano import read_mano_model
    from warpprior.io import prepare_file
    from warpprior.io.arrays import write_arrays

    if output.suffix.lower() != ".npz":
        raise InputError(str(output), "is no .npz", "give the output a name that ends in .npz")
    prepare_file(output, overwrite=overwrite)
    hand = read_mano_model(model)
    write_arrays(output, hand.arrays.as_dict())
    tell(quiet, f'a {hand.side} hand in {output}; name it as the path of a body of kind "mano"')
    return OK
