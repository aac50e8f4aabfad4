"""``usd``: stages of OpenUSD, of whatever program: bodies, their motion as first poses, and the camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.formats.format import Format
from warpprior.formats.recording import Recording
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.openusd import ENDINGS
from warpprior.support.options import option
from warpprior.usd.reading import read_stage


@dataclass(frozen=True)
class UsdOptions:
    """Options of ``usd``; files are below the folder of the stage, or absolute."""

    body: tuple[str, ...] = option(
        "a prim that is a body, and what it is: /World/mug=mesh, vertices, skin, urdf, hand:right, mano:FILE; "
        "repeatable (default: they are guessed)",
        (),
        metavar="PRIM=KIND",
    )
    known: tuple[str, ...] = option("a body whose poses are given, not estimated; repeatable", (), metavar="NAME")
    stage_camera: str | None = option("prim of the camera (default: the only one)", metavar="PRIM")
    labels: str | None = option("label images: labels/{:06d}.png", metavar="NAMES")
    rgb: str | None = option("colour pictures: rgb/{:06d}.jpg", metavar="NAMES")
    depth: str | None = option("depth pictures, 16-bit: depth/{:06d}.png", metavar="NAMES")
    depth_scale: float = option("metres per unit of depth pictures", number(0.001, 1e-9, 1e3))
    keypoints: str | None = option("file of keypoints and boxes (.npz)", metavar="PATH")
    fps: float | None = option("frames per second (default: the stage's)", number(None, 0.01, 10_000.0))


class UsdFormat(Format):
    """A USD stage."""

    name = "usd"
    title = "a USD stage of any program"
    reads = (
        "rigid bodies, animated meshes, characters of UsdSkel, articulations of UsdPhysics, their motion as first "
        "poses; cameras that stand or move; label images, pictures and keypoints beside it"
    )
    verified = (
        "stages that export writes, also with y up and in centimetres; files that Newton 1.8, Blender 5.0 and "
        "urdf-usd-converter 0.3 wrote"
    )
    general = True
    Options = UsdOptions

    def recognises(self, path: Path) -> str:
        return f"a {path.suffix.lower()} file" if path.suffix.lower() in ENDINGS and path.is_file() else ""

    def read(self, source: Path, options: UsdOptions) -> Recording:
        found = read_stage(
            source,
            camera=options.stage_camera,
            bodies=dict(map(_prim, options.body)) or None,
            known=options.known or None,
            fps=options.fps,
            labels=options.labels,
            rgb=options.rgb,
            depth=options.depth,
            depth_scale=options.depth_scale,
            keypoints=options.keypoints,
        )
        return Recording(found.scene)


FORMAT = UsdFormat()


def _prim(text: str) -> tuple[str, str | None]:
    """The prim and the kind of ``PRIM=KIND``, or of a prim alone."""
    path, _, kind = text.partition("=")
    if not path.startswith("/"):
        raise InputError("--body", repr(text), "PRIM=KIND, as /World/mug=mesh")
    return path, kind or None
