"""Which frames a folder of loose outputs has, the camera that took them, and its pictures: of folders or of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.clip_hands import read_hand_tracks
from warpprior.formats.parts.clip_roles import ROLES, Roles, find_roles
from warpprior.formats.parts.hand_sources import HandSources
from warpprior.formats.parts.intrinsics import read_intrinsics
from warpprior.formats.parts.mask_sources import mask_numbers, mask_size, mask_videos
from warpprior.formats.parts.pictures import color_pictures, numbered, picture_size
from warpprior.formats.parts.pose_files import PoseTrack
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.parts.videos import Video, VideoColors, VideoFrames, check_video_size, is_video, read_video
from warpprior.io.pictures import ColorPictures
from warpprior.io.rectify import Rectifier
from warpprior.scene import Camera
from warpprior.support.errors import InputError


class ClipFrames:
    """The frames of one folder.

    Args:
        source: the folder.
        options: those of ``clip``.
    """

    def __init__(self, source: Path, options: Any):
        self.source, self.options, self.notes = source, options, []
        given = {role: getattr(options, role) for role in ROLES}
        self.roles: Roles = find_roles(source, given)
        paths = [] if options.without_hands else self.roles.found["hands"]
        self.networks = HandSources.read(paths, self.notes)
        pictures = self.networks.pictures()
        if pictures is not None and not self.roles.found["rgb"]:
            self.roles.found["rgb"] = [pictures]

    def one(self, role: str) -> Path | None:
        """The only file or folder of a role, or None.

        Raises:
            InputError: there are several.
        """
        found = self.roles.found[role]
        if len(found) > 1:
            there = ", ".join(str(path.relative_to(self.source)) for path in found[:4])
            words = ROLES[role]
            raise InputError(
                str(self.source), f"{there} may each be {words}", f"--{role.replace('_', '-')} PATH decides"
            )
        return found[0] if found else None

    def timeline(self, tracks: dict[str, PoseTrack]) -> Timeline:
        """The frames: those of the pictures, else of masks, of poses, of hands.

        Raises:
            InputError: nothing says how many there are.
        """
        rgb, masks = self.one("rgb"), self.one("masks")
        if rgb is not None and is_video(rgb):
            return self._of_video(read_video(rgb), tracks)
        if rgb is None and masks is not None and (is_video(masks) or mask_videos(masks)):
            return Timeline(tuple(mask_numbers(masks)), uneven=True)
        for path, found in ((rgb, numbered(rgb) if rgb else {}), (masks, mask_numbers(masks) if masks else [])):
            if found:
                return Timeline.of(found, str(path), self.notes)
        for name, track in tracks.items():
            if track.numbers is not None:
                return Timeline.of(track.numbers, name, self.notes)
        for track in tracks.values():
            return Timeline(tuple(range(len(track.matrices))))
        if (found := self.networks.timeline(self.notes)) is not None:
            return found
        lengths = self._hand_lengths()
        if not lengths:
            raise InputError(str(self.source), "holds no numbered pictures, masks or poses", "--rgb, --masks or poses")
        return Timeline(tuple(range(lengths[0])))

    def _of_video(self, video: Video, tracks: dict[str, PoseTrack]) -> Timeline:
        """The frames of a video; as many as poses and hands have, too, where those are fewer by themselves."""
        if video.stated and video.stated != video.count:
            said = f"{video.count} frames can be decoded, its header states {video.stated}"
            self.notes.append(f"{video.path.name}: {said}")
        rows = [len(track.matrices) for track in tracks.values() if track.numbers is None]
        rows += self._hand_lengths() + [world.count for world in self.networks.worlds]
        count = min([video.count, *rows])
        if count < video.count:
            self.notes.append(f"{video.path.name}: {video.count} frames, others have {count}; those were taken")
        return Timeline(tuple(range(count)), uneven=True)

    def _hand_lengths(self) -> list[int]:
        tracks = read_hand_tracks(self.roles.found["hand_keypoints"], self.options.side, None, (1, 1), [], probe=True)
        return [len(track.values) for track in tracks]

    def colors(self, path: Path | None, timeline: Timeline, camera: Camera) -> ColorPictures | VideoColors | None:
        """Reads colour pictures, of a folder or of a video."""
        if path is None or not is_video(path):
            return color_pictures(self.frames(path, timeline), camera)
        video = read_video(path)
        check_video_size(video, camera)
        return VideoColors(VideoFrames(video), dict(enumerate(timeline.numbers)))

    def times(self, timeline: Timeline) -> tuple[float, np.ndarray | None] | None:
        """Frames per second and, where they are not even, times of the frames of a video."""
        path = self.one("rgb")
        video = read_video(path) if path is not None and is_video(path) else None
        found = None if video is None else video.frame_rate()
        if video is None or found is None:
            return None
        rate, even = found
        if even:
            self.notes.append(f"frame rate: {rate:.4g} per second, by {video.path.name}")
            return rate, None
        self.notes.append(f"{video.path.name}: its frames are not evenly spaced; its times were taken")
        return rate, video.times[: timeline.count]

    def frames(self, folder: Path | None, timeline: Timeline) -> dict[int, Path]:
        """Pictures of a folder by frame."""
        return {} if folder is None else timeline.by_frame(numbered(folder), str(folder), self.notes)

    def camera(self) -> tuple[Camera, Rectifier | None]:
        """The camera, and what takes the distortion of its lens out.

        Raises:
            InputError: there are no intrinsics, or they are those of other pictures.
        """
        path = self.one("intrinsics")
        stated = self.networks.intrinsics() if path is None else None
        if stated is not None:
            found, name = stated
            self.notes.append(f"intrinsics are those of the hands' program ({name}), for there is no file of them")
        elif path is not None:
            found, name = read_intrinsics(path), path.name
        else:
            accepted = "cam_K.txt, intrinsics.json or .yaml, or cameras.txt; --intrinsics PATH"
            raise InputError(str(self.source), "holds no intrinsics", accepted)
        rgb, masks, depth = (self.one(role) for role in ("rgb", "masks", "depth_images"))
        sample = next((file for folder in (rgb, depth) if folder for file in numbered(folder).values()), None)
        size = picture_size(sample) if sample else mask_size(masks) if masks else None
        size = read_video(rgb).size if rgb is not None and is_video(rgb) else size or found.size
        if size is None:
            size = max(2, round(2 * found.cx)), max(2, round(2 * found.cy))
            said = f"{size[0]} x {size[1]}, from the principal point"
            self.notes.append(f"size of the pictures: guessed to be {said}, for there are none")
        camera = found.camera(size, self.options.pixel_centers, name, self.notes)
        return camera, None if found.lens is None else Rectifier(camera, found.lens, str(path))

    def fps(self, tracks: dict[str, PoseTrack]) -> float:
        """Frames per second by the times of a trajectory, or as asked for."""
        times = next((track.times for track in tracks.values() if track.times is not None), None)
        if times is not None and len(times) > 1 and np.all(np.diff(times) > 0.0):
            rate = 1.0 / float(np.median(np.diff(times)))
            if 0.01 <= rate <= 10_000.0:
                self.notes.append(f"frame rate: {rate:.4g} per second, from the times of the poses")
                return rate
        self.notes.append(f"frame rate: {self.options.fps:g} per second, which no file says")
        return self.options.fps
