"""What is to be said of the unknowns that all frames share, once they were estimated."""

from __future__ import annotations

import numpy as np

from warpprior.system.misfit import misfit_name
from warpprior.system.problem import Problem
from warpprior.system.shared_unknowns import SharedUnknowns

LEAST_BIAS = 0.25  # smaller ones are not mentioned [px]
LEAST_MISFIT = 0.0005  # nor these [m]
CLEARLY = 2.0  # shape parameters that differ by so many of their sigmas are named


def shared_notes(problem: Problem) -> list[str]:
    """One sentence for each bias, misfit and shape that was found, with how sure it is."""
    shared = problem.shared
    return [*_bias_notes(problem), *_misfit_notes(problem), *_shape_notes(shared)]


def _found(shared: SharedUnknowns, name: str) -> tuple[float, float]:
    place = shared.names.index(name)
    return float(shared.values[place]), float(shared.sigmas[place])


def _bias_notes(problem: Problem) -> list[str]:
    shared = problem.shared
    if "bias" not in shared.names:
        return []
    value, sigma = _found(shared, "bias")
    if abs(value) >= LEAST_BIAS:
        way = "large" if value > 0.0 else "small"
        size = f"{abs(value):.1f}{_sure(sigma, '.1f')} px too {way}"
        return [f"labels are {size} at their borders, as bodies that touch and keypoints have it; all are taken to be."]
    seen = problem.observed.likeness
    if seen is not None and abs(seen.pixels) >= LEAST_BIAS:
        return [
            f"{seen.names}: labels reach {seen.pixels:+.1f} px beyond the known surface, which may differ as much from "
            "the true one; no other body shows it, so it is not taken to be a bias of labels."
        ]
    return []


def _misfit_notes(problem: Problem) -> list[str]:
    shared, notes = problem.shared, []
    for body in problem.motion.estimated:
        if body.name in shared.misfits:
            value, sigma = _found(shared, misfit_name(body))
            if abs(value) >= LEAST_MISFIT:
                depth = float(np.median(problem.motion.states[body.name].poses.numpy()[:, 2]))
                pixels = abs(value) * problem.motion.camera.fx / depth
                notes.append(
                    f"{body.name}: its labels lie {1e3 * abs(value):.1f}{_sure(1e3 * sigma, '.1f')} mm "
                    f"({pixels:.1f} px) {'out' if value > 0.0 else 'in'}side its surface all over; the surface differs "
                    "from the true one, and that is not taken to be a bias of labels."
                )
    return notes


def _shape_notes(shared: SharedUnknowns) -> list[str]:
    notes = []
    for name, start in shared.shapes.items():
        found = []
        for k in range(shared.shape_counts[name]):
            value, sigma = _found(shared, f"{name} shape {k}")
            changed = value - shared.first[start + k]
            if abs(changed) > CLEARLY * sigma:  # 0 > 0 where it is held
                found.append(f"{k} by {changed:+.1f}{_sure(sigma, '.1f')}")
        if found:
            notes.append(
                f"{name}: another shape than the first guess fits clearly better: parameter {', '.join(found)} "
                "(1 is a standard deviation of people)."
            )
    return notes


def _sure(sigma: float, form: str) -> str:
    return f" +- {sigma:{form}}" if np.isfinite(sigma) and sigma > 0.0 else ""
