"""Plots of how sure an estimate is: errors within three sigmas, and what a tracker's sensors said, over frames."""

from __future__ import annotations

import numpy as np

from warpprior.metrics.calibration import BAND, error_sigmas, level_of, mean_band, symmetric_errors
from warpprior.metrics.pose_errors import fill_holes
from warpprior.report.axes import INK, LINES, Band, Figure, Line, Panel, new_figure
from warpprior.report.uncertainty import SIGMAS
from warpprior.result import Result
from warpprior.scene import SceneBody
from warpprior.uncertainty import standard_deviations

_UNITS = ((1e3, "mm", "position"), (np.degrees(1.0), "deg", "rotation"))
_CROWN = 4.0  # bands are shown up to so many times their median, unless errors are larger


def band_figure(result: Result) -> Figure | None:
    """Position and rotation error along the camera's axes within their bands, or the bands alone without truth.

    None without covariances.
    """
    bodies = [body for body in result.scene.bodies if result.poses[body.name].covariance is not None]
    if not bodies:
        return None
    rows = 2 * len(bodies)
    figure = new_figure(36.0 + 115.0 * rows, rows, 3)
    for index, body in enumerate(bodies):
        covariance = result.poses[body.name].covariance
        assert covariance is not None
        reach = SIGMAS * standard_deviations(covariance)
        errors = _errors(result, body)
        ratios = None if errors is None else error_sigmas(errors[:, :6], covariance[:, :6, :6])
        for place in range(6):
            scale, unit, what = _UNITS[place // 3]
            panel = figure.axes[3 * (2 * index + place // 3) + place % 3]
            error = None if errors is None else scale * errors[:, place]
            _draw_band(panel, scale * reach[:, place], error, LINES[index % len(LINES)])
            share = (
                "" if ratios is None else _share(ratios[:, place] <= SIGMAS, np.isfinite(ratios[:, place]), "within")
            )
            panel.title = f"{body.name}: {what} {'xyz'[place % 3]}{share}"
            panel.up = unit if place % 3 == 0 else ""
    name_frames(figure, len(figure.axes), 3)
    figure.axes[0].legend = "inside"
    return figure


def name_frames(figure: Figure, count: int, columns: int = 2) -> None:
    """Show the first ``count`` panels, and say below the last of each column that it is over frames."""
    for number, panel in enumerate(figure.axes):
        panel.shown = number < count
        panel.across = "frame" if count - columns <= number < count else ""


def sensor_figure(result: Result) -> Figure | None:
    """Normalised innovations squared over their degrees of freedom, a panel per sensor; 1 is ideal.

    None where the history has no columns ``nis/<sensor>`` and ``dof/<sensor>``.
    """
    history = {name: np.asarray(column, np.float64) for name, column in result.history.items()}
    names = [name[4:] for name in history if name.startswith("nis/") and f"dof/{name[4:]}" in history]
    panels = [(name, history[f"nis/{name}"], history[f"dof/{name}"]) for name in names]
    panels = [panel for panel in panels if np.any((panel[1] > 0.0) & np.isfinite(panel[1]) & (panel[2] > 0))]
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    figure = new_figure(36.0 + 115.0 * rows, rows, 2)
    for index, (panel, (name, squares, dof)) in enumerate(zip(figure.axes, panels, strict=False)):
        frames = history.get("frame", np.arange(len(squares)))
        share = _draw_innovations(panel, frames, squares, dof, LINES[index % len(LINES)])
        panel.title, panel.up = f"{name}: innovations{share}", "NIS / dof" if index % 2 == 0 else ""
    name_frames(figure, len(panels))
    return figure


def _errors(result: Result, body: SceneBody) -> np.ndarray | None:
    """Errors (frame, 6 + coordinate), NaN in frames without truth; None without any."""
    if body.truth is None:
        return None
    truth, holes = fill_holes(body.truth)
    errors = symmetric_errors(result.poses[body.name], truth, body.symmetry)
    errors[holes] = np.nan
    return None if holes.all() else errors


def _draw_band(panel: Panel, reach: np.ndarray, error: np.ndarray | None, color: str) -> None:
    """Draw a band and the error in it."""
    frames = np.arange(len(reach))
    panel.bands.append(Band(frames, -reach, reach, color, f"{SIGMAS:g} sigma"))
    panel.lines += [Line(frames, side, color, 0.8) for side in (-reach, reach)]
    height = min(reach.max(), _CROWN * np.median(reach))
    if error is not None:
        panel.lines.append(Line(frames, error, INK, 1.4, "error", 3.0 if len(error) < 12 else 0.0))
        known = np.isfinite(error)
        height = max(height, np.abs(error[known]).max())
    height = 1.12 * max(height, 1e-6)
    panel.range, panel.reach = (-height, height), (-0.5, len(reach) - 0.5)


def _draw_innovations(panel: Panel, frames: np.ndarray, squares: np.ndarray, dof: np.ndarray, color: str) -> str:
    """Draw a sensor's innovations and the band in which 95 % of them should be; returns words for their share."""
    known = np.isfinite(squares) & (squares > 0.0) & (dof > 0)
    frames, squares, dof = frames[known], squares[known], dof[known]
    counts, where = np.unique(dof, return_inverse=True)
    bounds = (np.array([mean_band(count) for count in counts]) / counts[:, None])[where]
    panel.lines.append(Line(frames, squares / dof, color, 0.0, dots=2.4))
    panel.lines += [Line(frames, bound, INK, 0.8, dashed=True) for bound in bounds.T]
    panel.logarithmic = True
    levels = level_of(squares, dof)
    edge = 0.5 - 0.5 * BAND
    return _share((levels >= edge) & (levels <= 1.0 - edge), np.isfinite(levels), f"inside {100.0 * BAND:.0f} %")


def _share(met: np.ndarray, counted: np.ndarray, words: str) -> str:
    """Words for the share of frames that meet something, of those that count."""
    return f", {100.0 * np.mean(met[counted]):.0f} % {words}" if counted.any() else ""
