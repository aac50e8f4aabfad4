"""What a wrong estimate leaves behind, per body and frame: all of it, in millimetres and degrees."""

from __future__ import annotations

import numpy as np

from warpprior.result import Result
from warpprior.verdicts.colors import trace_hue
from warpprior.verdicts.contact import break_traces, contact_traces, jump_traces
from warpprior.verdicts.measured import measured_keypoints, measured_middle
from warpprior.verdicts.pictures import draw_small, keypoint_traces, label_traces, trace_depth
from warpprior.verdicts.steady import in_world, steady_camera
from warpprior.verdicts.told import residual_traces, sigma_traces

Traces = dict[str, np.ndarray]


def find_traces(result: Result, device: str = "cpu") -> dict[str, Traces]:
    """Traces of each estimated body, (frame,) each, NaN where the evidence for one is missing."""
    scene, poses = result.scene, result.poses
    moving = [body for body in scene.bodies if not body.known]
    names = {body.name: body.label for body in moving}
    found: dict[str, Traces] = {}
    path = steady_camera(scene)
    for body in moving:
        own = poses[body.name]
        there = in_world(path, own)
        found[body.name] = {
            **jump_traces(there, body.symmetry, scene.fps),
            **break_traces(there, body.symmetry),
            **keypoint_traces(scene, body, own, device),
            **measured_keypoints(scene, body, own, device),
            "measured_middle_mm": measured_middle(scene, body, own),
            **sigma_traces(own, body.symmetry),
            **residual_traces(result.residuals.get(body.name, {})),
        }
    _add(found, contact_traces(scene, poses, list(names), device, path))
    if scene.labels is not None:
        _add(found, label_traces(scene, poses, names, device))
    coloured = [body for body in moving if body.body.is_rigid and body.body.colors is not None and scene.read_rgb]
    if coloured or scene.read_depth is not None:
        depth, hue = ({name: np.full(scene.frame_count, np.nan) for name in names} for _ in range(2))
        for small in draw_small(scene, poses, device):
            if scene.read_depth is not None:
                trace_depth(scene, names, small, depth)
            for body in coloured:
                trace_hue(scene, body, poses[body.name], small, device, hue[body.name])
        if scene.read_depth is not None:
            _add(found, {name: {"depth_mm": away} for name, away in depth.items()})
        _add(found, {body.name: {"hue": hue[body.name]} for body in coloured})
    return found


def _add(found: dict[str, Traces], more: dict[str, Traces]) -> None:
    for name, traces in more.items():
        found[name].update(traces)
