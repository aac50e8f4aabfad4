"""How much memory a run takes, and how much of the sequence it holds at a time to stay within what there is.

Most of it is per pixel and frame: keys and claims of each body's drawing, 24 bytes, and distances to label borders, 4
in a crop of their own.  Drawings are looked at once an iteration, so a few frames at a time do; distances are wanted
at each iteration, and go to a temporary file last.  The equations stay whole, so the answer is the same, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from warpprior.kernels.slabs import FEWEST_FRAMES, thread_count
from warpprior.render.parts import Parts, equal_parts
from warpprior.render.window import AROUND_PX, CLEAR_PX, STEP_PX, Window
from warpprior.support.errors import InputError
from warpprior.support.memory import MIB, free_bytes, held_bytes, read_size, write_size
from warpprior.support.stored import FEW_BYTES
from warpprior.system.holding import Holding
from warpprior.system.motion import MotionState
from warpprior.system.observed import ObservedPicture
from warpprior.terms.term import Term

DRAWN_BYTES = 256 * MIB  # of drawings that a CPU holds where there is room: each part costs what holds still once more
HIDDEN = 1.5  # times as many pixels as its label needs a body is drawn in
SPARED = 0.8  # share of the free memory that a run may take unasked
BLOCKS = 12  # matrices of a frame's unknowns that are held at most, while the equations are solved
LOADED_BYTES = 250 * MIB  # of kernels, libraries, grids of bodies and verdicts, yet to come
OTHER_BYTES = 400_000  # of a frame: surfaces' motion, contacts, samples of colours


@dataclass(frozen=True)
class Needs:
    """Bytes that a run takes.

    Attributes:
        held: before it begins.
        frame: of each frame, whatever is held.
        drawn: of each frame that is drawn.
        backdrop: of all frames, where known bodies are drawn once.
        distances: of all frames, where they are in memory.
        frame_count: of the sequence.
    """

    held: int
    frame: int
    drawn: int
    backdrop: int
    distances: int
    frame_count: int

    def total(self, count: int, *, backdrop: bool, distances: bool) -> int:
        """Of a run that draws ``count`` frames at a time."""
        known = 0 if backdrop or not self.backdrop else self.backdrop // self.frame_count
        rest = self.backdrop * backdrop + self.distances * distances
        return self.held + self.frame_count * self.frame + (self.drawn + known) * count + rest


def needs_of(motion: MotionState, observed: ObservedPicture, terms: list[Term]) -> Needs:
    """What a run takes whose motion and labels have been made."""
    frame_count, device = motion.frame_count, motion.device
    pixels = observed.window.width * observed.window.height
    bodies = motion.estimated
    columns = sum(6 + body.body.coordinate_count for body in bodies)
    frame, distances, pictures = 8 * BLOCKS * columns**2 + OTHER_BYTES, 0, 0
    if device.is_cuda:
        frame += pixels + 24 * (motion.vertices.shape[1])
    if observed.labels is not None:
        areas = [np.prod(observed.distance_crops(body)[:, 2:].astype(np.int64), axis=1).sum() for body in bodies]
        distances = 4 * int(sum(areas))
        names = {term.name for term in terms}
        each = 4 * ("depth" in names)  # bytes of a pixel of the body's crop
        for body in bodies:
            colored = 8 * (body.body.is_rigid and "image" in names)
            if each + colored:
                crop = observed.crop_around(body)
                size = frame_count * crop.width * crop.height * (each + colored)
                pictures += min(size, 2 * FEW_BYTES) if device.is_cpu else size  # more are in files
    sizes = [pixels for _ in bodies]
    if device.is_cpu and observed.labels is not None:  # crops follow bodies
        sizes = [min(pixels, _drawn_pixels(observed.crop_around(body))) for body in bodies]
    drawn = 24 * sum(sizes) + 4 * len(motion.assembly.edges)
    held = pictures + (held_bytes() + LOADED_BYTES if device.is_cpu else 0)
    return Needs(held, frame, drawn, 8 * pixels * frame_count * bool(motion.known), distances, frame_count)


def _drawn_pixels(crop: Window) -> int:
    """Of a crop that follows a body whose label needs one of this size; labels do not show what is hidden."""
    around = 2 * (CLEAR_PX + AROUND_PX) + STEP_PX
    return int(HIDDEN * (crop.width + around) * (crop.height + around))


def plan_holding(needs: Needs, memory: str | float | None, device, *, whole: bool) -> tuple[Holding, str | None]:
    """What to hold, and what is to be said of it.

    Args:
        needs: of the run.
        memory: bytes that the process may have on a CPU, or the run on a GPU; None: most of what is free.
        device: Warp device.
        whole: some solver or term walks all drawings at once.

    Raises:
        InputError: it was said what the run may take, and it does not fit.
    """
    budget = _budget(needs, memory, device)
    most = needs.frame_count
    if device.is_cpu and not whole:
        most = min(most, max(DRAWN_BYTES // needs.drawn, FEWEST_FRAMES * thread_count()))
    usual = needs.total(most, backdrop=True, distances=True)
    if budget is None or usual <= budget:
        return _holding(needs, most, backdrop=True, distances=True), None
    for count, backdrop, distances in () if whole else _smaller(needs, budget, most):
        total = needs.total(count, backdrop=backdrop, distances=distances)
        at_once = f"{count} of {needs.frame_count} frames are drawn at a time"
        spilled = "" if distances else ", and distances to label borders are in a temporary file"
        said = f"memory: {at_once}{spilled}, to stay within {write_size(budget)}; about {write_size(total)} are needed."
        return _holding(needs, count, backdrop=backdrop, distances=distances), said
    total = usual if whole else needs.total(1, backdrop=False, distances=False)
    why = ", all frames being drawn at once for Adam or a term of your own" if whole else ""
    found = f"about {write_size(total)} are needed for {needs.frame_count} frames{why}"
    accepted = "more memory, fewer frames (--num-frames) or smaller pictures"
    if memory is not None:
        raise InputError(f"--memory {memory}", found, accepted)
    count = most if whole else 1
    return (
        _holding(needs, count, backdrop=whole, distances=whole),
        f"memory: {found}, and {write_size(budget)} are free: it may not fit; {accepted} will help.",
    )


def _budget(needs: Needs, memory: str | float | None, device) -> int | None:
    """Bytes that the run may have in all, None where nobody knows."""
    if memory is not None:
        return read_size(memory, "--memory")
    free = free_on(device)
    return None if free is None else needs.held + int(SPARED * free)


def parts_of_clips(pictures: Sequence[ObservedPicture], body_count: int, device) -> Parts | None:
    """Frames of several clips, one behind the other, that a CPU draws together; None for all.

    Args:
        pictures: what is seen in each.
        body_count: estimated bodies.
        device: Warp device.
    """
    if not device.is_cpu:
        return None
    windows = [picture.window for picture in pictures]
    frame_count = sum(len(window.origins) for window in windows)
    drawn = 24 * body_count * max(window.width * window.height for window in windows)
    most = max(DRAWN_BYTES // drawn, FEWEST_FRAMES * thread_count())
    return None if most >= frame_count else equal_parts(frame_count, most)


def free_on(device) -> int | None:
    """Bytes that a run may still take: of the GPU, or of what its process may have; None where nobody knows."""
    return int(device.free_memory) if device.is_cuda else free_bytes()


def _smaller(needs: Needs, budget: int, most: int) -> Iterator[tuple[int, bool, bool]]:
    """Ways to hold less, each with as many frames drawn together as fit, dearer ones last."""
    few = min(FEWEST_FRAMES, most)
    for least in (few, 1):
        for backdrop, distances in ((True, True), (False, True), (False, False)):
            rest = needs.total(0, backdrop=backdrop, distances=distances)
            each = needs.total(1, backdrop=backdrop, distances=distances) - rest
            count = min((budget - rest) // each, most)
            if count >= least:
                yield count, backdrop, distances


def _holding(needs: Needs, count: int, *, backdrop: bool, distances: bool) -> Holding:
    parts = None if count >= needs.frame_count else equal_parts(needs.frame_count, count)
    return Holding(parts, backdrop, distances)


def walks_all_at_once(terms: list[Term], *, descends: bool) -> bool:
    """Whether drawings of all frames are wanted at once: by Adam, or by a term that does not know of parts."""
    return descends or any(term.draws and not term.in_parts for term in terms)
