"""H.264 video that plays in browsers, through the ffmpeg that comes with imageio-ffmpeg."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from warpprior.io.atomic import atomic_path
from warpprior.support.errors import MissingExtraError, RunError


def write_video(frames: Iterable[np.ndarray], path: str | Path, *, fps: float, crf: int = 20) -> None:
    """Encode frames to an ``.mp4`` that appears whole or not at all.

    Args:
        frames: RGB images (height, width, 3) uint8, all of one size, height and width even; at least one.
        path: file to write.
        fps: frames per second.
        crf: x264's constant rate factor, lower is better and larger.

    Raises:
        MissingExtraError: imageio-ffmpeg is not installed.
        RunError: ffmpeg failed or the file could not be written.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise MissingExtraError("writing video", "cv") from error
    frames = iter(frames)
    first = next(frames)
    height, width = first.shape[:2]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-nostdin"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:.6g}", "-i", "-"]
    command += ["-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p"]
    with atomic_path(path) as partial, tempfile.TemporaryFile() as log:
        command += ["-movflags", "+faststart", "-f", "mp4", str(partial.absolute())]  # a name may begin with a dash
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        pipe = process.stdin
        assert pipe is not None
        try:
            pipe.write(first.tobytes())
            for frame in frames:
                pipe.write(np.ascontiguousarray(frame).data)
            pipe.close()
        except BrokenPipeError:
            pass  # ffmpeg gave up; its own words follow
        except BaseException:
            process.kill()
            raise
        finally:
            code = process.wait()
        if code != 0:
            log.seek(0)
            words = log.read().decode(errors="replace").strip().splitlines()
            raise RunError(f"{path}: ffmpeg could not write it: {words[-1] if words else f'exit code {code}'}")
