"""``hamer``: hands as HaMeR, WiLoR and WiLoR-mini give them, in whatever files people save them in.

Their camera looks at a crop as by a focal length of 5000 for 256 pixels: a hand is some 30 m away, and comes to where
it is by the focal length of the camera that took the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.formats.format import Format
from warpprior.formats.parts.clip_roles import holds_objects
from warpprior.formats.parts.crop_camera import crop_camera
from warpprior.formats.parts.hand_records import read_hand_records
from warpprior.formats.parts.hand_sources import HandSources, hands_written, kind_of_hands
from warpprior.formats.parts.hands_scene import hands_scene
from warpprior.formats.parts.network_hands import CONVENTIONS, HandChoices, network_hands, numbers_of
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.recording import Recording
from warpprior.scene import Camera
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option


@dataclass(frozen=True)
class HamerOptions:
    """Options of ``hamer``."""

    mano: Path | None = option("folder of the MANO models (default: $WARPPRIOR_MANO)", metavar="DIR")
    left_hands: str | None = option(
        "what rotations of left hands are of (default: what makes the keypoints in the file)", choices=CONVENTIONS
    )
    width: int | None = option("width of the pictures in pixels (default: img_size)", number(None, 16, 16384))
    height: int | None = option("height of the pictures in pixels (default: img_size)", number(None, 16, 16384))
    focal: float | None = option("focal length in pixels (default: the pictures' longer side)", number(None, 1.0, 1e6))
    fps: float = option("frames per second", number(30.0, 0.01, 10_000.0))
    pose_sigma: float = option("how far given poses are off, in metres", number(0.01, 1e-5, 1.0))


class HamerFormat(Format):
    """Hands of HaMeR and WiLoR."""

    name = "hamer"
    title = "hands of HaMeR, WiLoR or WiLoR-mini: dictionaries in JSON, npy, npz or pickles, by picture or clip"
    reads = (
        "both hands (MANO, or our own by their keypoints), from the crop's camera into the picture's; left hands in "
        "all three conventions, missing frames; pickles, joblib and torch files without running anything in them"
    )
    writes = "back in place: poses, places and 3D keypoints, in the camera and convention of each file"
    verified = "files made in the layouts of their code by an independent MANO; joblib's and torch's own writers"
    Options = HamerOptions

    def recognises(self, path: Path) -> str:
        return (
            f"parameters of hands in {path.name}"
            if kind_of_hands(path) == "records" and not holds_objects(path)
            else ""
        )

    def read(self, source: Path, options: HamerOptions) -> Recording:
        notes: list[str] = []
        records = read_hand_records(source)
        timeline = Timeline.of(numbers_of(records), str(source), notes)
        camera = _camera(source, records[0].size, options, notes)
        choices = HandChoices(options.mano, options.left_hands, alone=True)
        hands = network_hands(records, source.name, camera, timeline, choices, notes)
        return hands_scene(source.stem, camera, options.fps, hands, notes, pose_sigma=options.pose_sigma)

    def write(self, recording: Recording, folder: Path, options: HamerOptions) -> tuple[str, ...]:
        source = self.origin_of(recording, "hands of a network", "they are written back, not made anew").path
        sources = HandSources.read([source], [])
        (records,) = sources.records.values()
        timeline = Timeline.of(numbers_of(records), str(source), [])
        choices = HandChoices(options.mano, options.left_hands, alone=True)
        return hands_written(*sources.write(folder, recording, timeline, choices))


def _camera(source: Path, size: tuple[float, float] | None, options: HamerOptions, notes: list[str]) -> Camera:
    given = (options.width, options.height) if options.width and options.height else size
    if given is None:
        raise InputError(str(source), "does not say how large its pictures were", "--width and --height")
    width, height = round(given[0]), round(given[1])
    focal = options.focal or float(max(width, height))
    if options.focal is None:
        notes.append(f"focal length: guessed to be {focal:g} px, the longer side of the pictures: --focal")
    return crop_camera(Camera(width, height, focal, focal, 0.5 * width, 0.5 * height), focal)


FORMAT = HamerFormat()
