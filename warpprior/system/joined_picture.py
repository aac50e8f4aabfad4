"""What label images of several clips show: windows, labels and distances of all frames, one clip behind the other.

Each frame keeps the crop that it has alone, and whatever is looked at in it is the same: crops of clips differ in size,
so that a frame has a row of as many pixels as the largest needs, and uses the first of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import warp as wp

from warpprior.render.parts import Parts
from warpprior.render.window import Window
from warpprior.scene import SceneBody
from warpprior.support.stored import stored_zeros
from warpprior.system.border_distances import BorderDistances
from warpprior.system.motion import MotionState
from warpprior.system.observed import ObservedPicture


@dataclass(frozen=True)
class JoinedPicture(ObservedPicture):
    """Observations within the windows of several clips.

    Attributes:
        clips: those of each; their distances become a part of these.
    """

    clips: tuple[ObservedPicture, ...] = ()

    @cached_property
    def unbiased_labels_on_device(self) -> wp.array:
        window = self.window
        images = stored_zeros((len(window.origins), window.width * window.height), np.uint8)
        for clip, (part, _) in zip(self.clips, self.motion.clips, strict=True):
            own = clip.unbiased_labels
            assert own is not None, "the clips have labels"
            images[part.frames, : own.shape[1] * own.shape[2]] = own.reshape(len(own), -1)
        return wp.array(images, dtype=wp.uint8, device=self.motion.device, copy=False)

    def shows(self, body: SceneBody) -> np.ndarray:
        return np.concatenate([clip.shows(body) for clip in self.clips])

    def unbiased_boxes(self, body: SceneBody) -> np.ndarray:
        return np.concatenate([clip.unbiased_boxes(body) for clip in self.clips])

    def border_distances(self, body: SceneBody, parts: Parts | None = None) -> BorderDistances:
        return BorderDistances.joined([clip.border_distances(body) for clip in self.clips])


def joined_picture(motion: MotionState, clips: Sequence[ObservedPicture]) -> JoinedPicture:
    """What is seen in clips whose motion, divided, is given."""
    first = clips[0]
    window = Window.joined([clip.window for clip in clips])
    # How labels are biased is in each clip's distances and boxes.
    return JoinedPicture(motion, window, first.labels, 0.0, first.unbiased_labels, clips=tuple(clips))
