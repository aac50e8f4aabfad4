"""Plots of how sure an estimate is: errors within three sigmas, and what a tracker's sensors said, over frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from warpprior.metrics.calibration import BAND, error_sigmas, level_of, mean_band, symmetric_errors
from warpprior.metrics.pose_errors import fill_holes
from warpprior.report.axes import INK, LINES, dress, new_figure, plain, set_logarithmic, set_margins
from warpprior.report.uncertainty import SIGMAS
from warpprior.result import Result
from warpprior.scene import SceneBody
from warpprior.uncertainty import standard_deviations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    figure = new_figure(0.5 + 1.6 * rows)
    grid = figure.subplots(rows, 3, squeeze=False)
    set_margins(figure, right=0.1, rows=rows)
    for index, body in enumerate(bodies):
        covariance = result.poses[body.name].covariance
        assert covariance is not None
        reach = SIGMAS * standard_deviations(covariance)
        errors = _errors(result, body)
        ratios = None if errors is None else error_sigmas(errors[:, :6], covariance[:, :6, :6])
        for place in range(6):
            scale, unit, what = _UNITS[place // 3]
            axes = grid[2 * index + place // 3, place % 3]
            error = None if errors is None else scale * errors[:, place]
            _draw_band(axes, scale * reach[:, place], error, LINES[index % len(LINES)])
            share = (
                "" if ratios is None else _share(ratios[:, place] <= SIGMAS, np.isfinite(ratios[:, place]), "within")
            )
            dress(axes, f"{plain(body.name)}: {what} {'xyz'[place % 3]}{share}", "", unit if place % 3 == 0 else "")
    for axes in grid[-1]:
        axes.set_xlabel("frame", color=INK, fontsize=8)
    grid[0, 0].legend(loc="upper left", ncols=2, frameon=False, fontsize=7, labelcolor=INK)
    return figure


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
    figure = new_figure(0.5 + 1.6 * rows)
    grid = figure.subplots(rows, 2, squeeze=False)
    set_margins(figure, right=0.1, rows=rows)
    for index, (axes, (name, squares, dof)) in enumerate(zip(grid.flat, panels, strict=False)):
        frames = history.get("frame", np.arange(len(squares)))
        share = _draw_innovations(axes, frames, squares, dof, LINES[index % len(LINES)])
        dress(axes, f"{plain(name)}: innovations{share}", "", "NIS / dof" if index % 2 == 0 else "")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(panels) - 2) : len(panels)]:
        axes.set_xlabel("frame", color=INK, fontsize=8)
    return figure


def _errors(result: Result, body: SceneBody) -> np.ndarray | None:
    """Errors (frame, 6 + coordinate), NaN in frames without truth; None without any."""
    if body.truth is None:
        return None
    truth, holes = fill_holes(body.truth)
    errors = symmetric_errors(result.poses[body.name], truth, body.symmetry)
    errors[holes] = np.nan
    return None if holes.all() else errors


def _draw_band(axes: Axes, reach: np.ndarray, error: np.ndarray | None, color: str) -> None:
    """Draw a band and the error in it."""
    frames = np.arange(len(reach))
    axes.fill_between(frames, -reach, reach, color=color, alpha=0.22, linewidth=0.0, label=f"{SIGMAS:g} sigma")
    for side in (-reach, reach):
        axes.plot(frames, side, color=color, linewidth=0.8)
    height = min(reach.max(), _CROWN * np.median(reach))
    if error is not None:
        few = len(error) < 12
        axes.plot(frames, error, color=INK, linewidth=1.4, marker="o" if few else "", markersize=3, label="error")
        known = np.isfinite(error)
        height = max(height, np.abs(error[known]).max())
    height = 1.12 * max(height, 1e-6)
    axes.set_ylim(-height, height)
    axes.set_xlim(-0.5, len(reach) - 0.5)


def _draw_innovations(axes: Axes, frames: np.ndarray, squares: np.ndarray, dof: np.ndarray, color: str) -> str:
    """Draw a sensor's innovations and the band in which 95 % of them should be; returns words for their share."""
    known = np.isfinite(squares) & (squares > 0.0) & (dof > 0)
    frames, squares, dof = frames[known], squares[known], dof[known]
    counts, where = np.unique(dof, return_inverse=True)
    bounds = (np.array([mean_band(count) for count in counts]) / counts[:, None])[where]
    axes.plot(frames, squares / dof, color=color, linewidth=0.0, marker="o", markersize=2.4)
    for bound in bounds.T:
        axes.plot(frames, bound, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    set_logarithmic(axes)
    levels = level_of(squares, dof)
    edge = 0.5 - 0.5 * BAND
    return _share((levels >= edge) & (levels <= 1.0 - edge), np.isfinite(levels), f"inside {100.0 * BAND:.0f} %")


def _share(met: np.ndarray, counted: np.ndarray, words: str) -> str:
    """Words for the share of frames that meet something, of those that count."""
    return f", {100.0 * np.mean(met[counted]):.0f} % {words}" if counted.any() else ""
