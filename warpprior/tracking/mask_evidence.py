"""The whole label image as an observation of the poses of rigid bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import warp as wp

from warpprior.scene import Poses, Scene
from warpprior.support.errors import InputError
from warpprior.tracking.evidence import NO_EVIDENCE, Evidence
from warpprior.tracking.known_borders import PARTS, KnownBorders
from warpprior.tracking.mask_search import LEAST_PIXELS, is_due
from warpprior.tracking.mask_view import WIDEST, MaskView
from warpprior.tracking.place_search import PlaceSearch
from warpprior.tracking.single_frame import SingleFrame, coarse_to_fine, relinearise

SIGMAS = 2.0  # borders are looked for within so many sigmas of a prior
FIT = 1.1  # a contour that comes no nearer than so many sigmas to its label found the wrong place, and so did one
# whose body leaves as much between label and drawing, as area over length; or, if that is more,
UNUSUAL = 1.8  # so many times what is usual
SURE_FIT, SURE = 0.75, 1.3  # one that was searched for must come so near: elsewhere a wrong turn may nearly fit
MUCH_BETTER = 0.75  # and not miss much more than so much of what is believed misses
BETTER = 0.4  # or miss so much less than what is believed, if it fits
USUAL, LEAST_USUAL = 0.55, 0.35  # what is usual at first, and at least [sigma]
LEARNS, LEARNS_WORSE, LATELY = 0.2, 0.03, 0.3  # share of the newest picture in that, and in what was of late
STRANGE = 1.3  # a contour that fits so much worse of late than usual may be turned wrongly
LOOKS = 24  # times that borders of known bodies are compared
BORDER_LENGTH = 200.0  # pixels of a known body's border that err alike: contours are not all that is wrong with them
LEAST_SIGMA_BIAS = 0.2  # known bodies are not known better [px]


class MaskResidual:
    """Contours of rigid bodies onto the borders of their labels in one label image, Eq. 2, reduced to the poses.

    Args:
        scene: camera and bodies; bodies that are estimated and rigid are watched, all others only hide them.
        device: Warp device.
        frame: where the bodies are placed, to share it with other observations; None makes one.
        sigma_border_px: error of label borders [px].
        correlation_px: neighbouring pixels of a border err together over this length [px].  2 px over 12 px is what
            simulated masks of level M1 show: 1.5 px, smooth over 20 px.
        correlated_frames: so many pictures in a row err alike, and each counts that much less.
        sigma_bias_px: how far all borders may lie outside the true ones, alike [px].  What that could explain is not
            held against the pose; above all it is depth.
        reaches_px: the contour is linearised so many times, each time where the time before led; residuals beyond
            these count less and less [px].  It begins with wider ones where a prior says that the pose is less sure
            than the first of them, and where the contour was not found in the picture before.
        clearance_m: another body must be this far behind the contour to count as behind it [m].

    Attributes:
        bias_px, sigma_bias_px: how far label borders lie outside the true ones, and how sure that is [px].  Where there
            are known bodies their borders say, 24 times, each in parts of five pictures.
        frame_index: pictures so far.
    """

    def __init__(
        self,
        scene: Scene,
        device: wp.DeviceLike = "cpu",
        *,
        frame: SingleFrame | None = None,
        sigma_border_px: float = 2.0,
        correlation_px: float = 12.0,
        correlated_frames: float = 1.0,
        sigma_bias_px: float = 1.0,
        reaches_px: tuple[float, ...] = (8.0, 4.0),
        clearance_m: float = 0.004,
    ):
        self.frame = frame = SingleFrame(scene, device) if frame is None else frame
        self.bias_px, self.sigma_bias_px, self.frame_index = 0.0, sigma_bias_px, 0
        self._reaches, self._sigma_border = reaches_px, sigma_border_px
        device, names = frame.device, [body.name for body in scene.bodies]
        self._bias = wp.zeros(1, dtype=wp.float32, device=device)
        weight = 1.0 / (correlated_frames * correlation_px * sigma_border_px**2)
        self._views = {
            body.name: MaskView(body, frame, names, clearance_m, self._bias, weight) for body in frame.watched
        }
        self._missed = dict.fromkeys(self._views, 0)  # pictures in a row in which a contour was not found
        self._usual = dict.fromkeys(self._views, USUAL)  # misfit of contours that were found [sigma],
        self._recent = dict(self._usual)  # and of late
        self._known = KnownBorders(frame) if frame.known else None
        self._search = PlaceSearch(frame, reaches_px, self._linearise, self._size, self._misfit)

    def measure(
        self,
        labels: np.ndarray | None,
        poses: Mapping[str, Poses],
        *,
        prior: Mapping[str, np.ndarray] | None = None,
        surfaces: Mapping[str, np.ndarray] | None = None,
        starts: Callable[[str], Sequence[Poses]] | None = None,
    ) -> dict[str, Evidence]:
        """What a label image says about the errors of the watched bodies' poses, others being where they are.

        Args:
            labels: (height, width) uint8: 0 background, body labels, 255 don't care; None says nothing.
            poses: predicted poses of one frame, by name.
            prior: how sure they are: information (6, 6) in the error of the pose, by name.  It keeps later
                linearisations near and is no part of what is returned.
            surfaces: see :meth:`SingleFrame.place`.
            starts: other poses from which a body is searched for, asked for by its name.

        Returns:
            By name of watched body; all zero where its label is not in sight.  Where the contour does not come to lie
            on the label's border, it is searched for where the label has its size and middle, and is ``anew`` where it
            was found.  If that fails, too, the border is taken to be wrong by as much as it was looked for, so that
            little is said.

        Raises:
            InputError: the label image has not the size of the camera's pictures.
        """
        found = dict.fromkeys(self._views, NO_EVIDENCE)
        if labels is None:
            return found
        camera = self.frame.camera
        if labels.shape != (camera.height, camera.width):
            raise InputError("label image", f"shape {labels.shape}", f"shape {(camera.height, camera.width)}")
        self.frame.place(poses, surfaces)
        if self._known is not None and self.frame_index <= (LOOKS - 1) * PARTS:
            self._learn_bias(labels)
        self.frame_index += 1
        self._bias.fill_(self.bias_px)
        reaches = {name: self._plan(name, prior) for name in self._views}
        for view in self._views.values():
            view.look(labels)
        active = {name: reaches[name] for name, view in self._views.items() if view.active}
        found |= relinearise(self.frame, poses, active, prior, self._linearise, self._size)
        for name, view in self._views.items():
            own = labels == view.body.label
            count = int(np.count_nonzero(own))
            misfit = self._misfit(view, count)
            fits = view.active and misfit <= max(FIT, UNUSUAL * self._usual[name])
            strange = self._learn_usual(name, misfit) if fits else True
            if fits:
                self._missed[name] = 0
            elif count:
                self._missed[name] += 1
                found[name] = found[name].weakened((self._sigma_border / reaches[name][0]) ** 2)
            if count >= LEAST_PIXELS and strange and is_due(self._missed[name]):
                ways = [poses[name], *(() if starts is None else starts(name))]
                sure = None if prior is None else prior.get(name)
                least, enough = self._least(name, misfit), self._usual[name]
                found[name] = self._search(view, labels, ways, sure, least=least, enough=enough) or found[name]
        return found

    def _learn_usual(self, name: str, misfit: float) -> bool:
        """Learn how well the contour fits where it was found; whether it fits worse than usual for some time now."""
        usual, recent = self._usual[name], self._recent[name]
        self._usual[name] += (LEARNS if misfit < usual else LEARNS_WORSE) * (misfit - usual)
        self._recent[name] += LATELY * (misfit - recent)
        if self._recent[name] <= STRANGE * max(self._usual[name], LEAST_USUAL):
            return False
        self._recent[name] = self._usual[name]  # and if it is not found elsewhere, it is not asked again at once
        return True

    def _misfit(self, view: MaskView, count: int) -> float:
        """How badly the contour lies on the label, as drawn last, in sigmas of the border.

        ``count`` is how many pixels of the whole picture have the label; those of few do not tell areas.
        """
        near = view.equations.residual_px(self.frame) / self._sigma_border
        if count < LEAST_PIXELS or not view.active:
            return near
        return max(near, view.gap(count) / self._sigma_border)

    def _least(self, name: str, misfit: float) -> float:
        """The misfit that what a search finds must have, where what is believed has ``misfit``."""
        usual = self._usual[name]
        return max(
            min(max(SURE_FIT, SURE * usual), MUCH_BETTER * misfit), min(max(FIT, UNUSUAL * usual), BETTER * misfit)
        )

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt of the bias of borders, and how often contours were not found, to be kept."""
        sums = np.zeros(2) if self._known is None else self._known.sums
        bias = np.array([self.bias_px, self.sigma_bias_px, self.frame_index, *sums])
        missed, usual, recent = (np.array([*each.values()]) for each in (self._missed, self._usual, self._recent))
        return {"bias": bias, "missed": missed, "usual": usual, "recent": recent}

    def restore(self, kept: Mapping[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        bias, sigma, index, *sums = kept["bias"]
        if self._known is not None:
            self._known.sums[:] = sums
        self.bias_px, self.sigma_bias_px, self.frame_index = float(bias), float(sigma), int(index)
        self._missed = dict(zip(self._missed, kept["missed"].tolist(), strict=True))
        self._usual = dict(zip(self._usual, kept["usual"].tolist(), strict=True))
        self._recent = dict(zip(self._recent, kept["recent"].tolist(), strict=True))

    def _plan(self, name: str, prior: Mapping[str, np.ndarray] | None) -> list[float]:
        """Reaches, coarse to fine [px]."""
        widest = self._reaches[0] * 2.0 ** min(self._missed[name], 10)
        if prior is not None and name in prior:
            widest = max(widest, SIGMAS * self._pixels(name, np.linalg.inv(prior[name])))
        return coarse_to_fine(widest, self._reaches, WIDEST)

    def _pixels(self, name: str, moment: np.ndarray) -> float:
        """How far the contour of a body moves [px], see :meth:`SingleFrame.spread`."""
        camera = self.frame.camera
        scale = max(camera.fx, camera.fy) / max(self.frame.position(name)[2], 0.05)
        return scale * self.frame.spread(name, moment)[0]

    def _size(self, name: str, step: np.ndarray) -> float:
        return self._pixels(name, np.outer(step, step))

    def _learn_bias(self, labels: np.ndarray) -> None:
        """Let the borders of the known bodies, where they meet the background, say how biased pictures are.

        The first picture says so at once; then each shows a part, and all parts together say the rest.
        """
        assert self._known is not None, "bodies are known"
        parts = range(PARTS) if self.frame_index == 0 else [(self.frame_index - 1) % PARTS]
        for part in parts:
            self._known.look(labels, part)
        found = self._known.found() if parts[-1] == PARTS - 1 else None
        if found is not None:
            sure = 1.0 / self.sigma_bias_px**2
            weight = found.count / BORDER_LENGTH / self._sigma_border**2
            self.bias_px = (sure * self.bias_px + weight * found.pixels) / (sure + weight)
            self.sigma_bias_px = max(1.0 / np.sqrt(sure + weight), min(LEAST_SIGMA_BIAS, self.sigma_bias_px))

    def _linearise(self, name: str, reach: float) -> Evidence:
        view = self._views[name]
        view.linearise(reach)
        return view.equations.read(self.frame, view.body, self.sigma_bias_px)
