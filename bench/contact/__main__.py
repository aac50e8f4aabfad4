"""``python -m warpprior.bench.contact``: grasps found again from perturbed ones and maps of contact.

Ten objects of ten starts each, 5 cm, 0.1 rad and half a sigma of the joints off as in ContactOpt's protocol; then the
robot hand, and human hands whose maps are blurred by 5 mm with a tenth of the vertices flipped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from warpprior.bench.contact.grasps import HUMAN, Grasp, human_grasp, noisy_maps, robot_grasp
from warpprior.bodies import link_transforms, posed_keypoints, posed_vertices
from warpprior.bodies.contact_map import ContactMap
from warpprior.contacts.predict import predict_contact
from warpprior.contacts.refine import refine_contact
from warpprior.contacts.settings import ContactSettings
from warpprior.kernels import silence_warp
from warpprior.scene import Poses, SceneBody

TOUCH_M = 0.002
FAILED_MM = 20.0

Figures = dict[str, list[float]]


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a line for each kind of grasp."""
    parser = argparse.ArgumentParser(
        prog="python -m warpprior.bench.contact", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--cases", type=int, default=10, metavar="N", help="starts of each object (default: %(default)s)"
    )
    parser.add_argument("--objects", type=int, default=len(HUMAN), metavar="N", help="only the first N")
    parser.add_argument("--restarts", type=int, default=8, metavar="N", help="of each start (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    given = parser.parse_args(arguments)
    silence_warp()
    settings = ContactSettings(restarts=given.restarts)
    numbers = range(min(given.objects, len(HUMAN)))
    found = {}
    for name, grasps, maps in (
        ("human hands", (human_grasp(k, given.cases) for k in numbers), lambda grasp: grasp.maps),
        ("robot hand", (robot_grasp(k, given.cases) for k in range(3)), lambda grasp: grasp.maps),
        ("human hands, noisy maps", (human_grasp(k, given.cases) for k in numbers), lambda grasp: noisy_maps(grasp, 0)),
    ):
        figures: Figures = {}
        for grasp in grasps:
            for key, values in measured(grasp, maps(grasp), settings).items():
                figures.setdefault(key, []).extend(values)
        found[name] = figures
        print(f"{name}: {said(figures)}", flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def measured(grasp: Grasp, maps: Sequence[ContactMap], settings: ContactSettings) -> Figures:
    """Figures of every start of a grasp, before and after."""
    scene, hand = grasp.scene, grasp.scene.body(grasp.hand)
    refine_contact(scene.first_frames(1), maps, settings=settings, device="cpu")  # kernels are loaded, fields baked
    began = time.process_time()
    result = refine_contact(scene, maps, settings=settings, device="cpu")
    seconds = (time.process_time() - began) / scene.frame_count
    figures: Figures = {"seconds": [seconds] * scene.frame_count}
    for turn, poses in (("before", hand.initial), ("after", result.poses[grasp.hand])):
        for key, measure in (("joints", _joints), ("vertices", _vertices)):
            figures[f"{key}_{turn}_mm"] = _apart(hand, poses, measure).tolist()
    motion = {body.name: result.poses[body.name] for body in scene.bodies}
    now = predict_contact(scene, motion, pairs=[(m.body, m.other) for m in grasp.maps], device="cpu")
    for found, true, side in zip(now, grasp.maps, ("hand", "object"), strict=True):
        touches, should = found.distances < TOUCH_M, true.distances < TOUCH_M  # NaN is not
        some = touches.sum(axis=1) + should.sum()
        figures[f"f1_{side}"] = (2.0 * (touches & should).sum(axis=1) / np.maximum(some, 1)).tolist()
    depth = np.max([-np.nanmin(found.distances, axis=1) for found in now], axis=0)
    figures["depth_mm"] = (1e3 * depth).tolist()
    figures["true_depth_mm"] = [1e3 * float(max(-np.nanmin(m.distances) for m in grasp.maps))] * scene.frame_count
    return figures


def _apart(hand: SceneBody, poses: Poses, measure: Callable[[SceneBody, Poses], np.ndarray]) -> np.ndarray:
    """Mean distance of points from where they truly are (frame,) [mm]."""
    assert hand.truth is not None
    return 1e3 * np.linalg.norm(measure(hand, poses) - measure(hand, hand.truth), axis=2).mean(axis=1)


def _joints(hand: SceneBody, poses: Poses) -> np.ndarray:
    """Keypoints, or origins of links (frame, joint, 3)."""
    if hand.body.keypoint_count:
        return posed_keypoints(hand.body, poses, "cpu")
    return link_transforms(hand.body, poses, "cpu")[..., :3]


def _vertices(hand: SceneBody, poses: Poses) -> np.ndarray:
    return posed_vertices(hand.body, poses, "cpu")


def said(figures: Figures) -> str:
    """What the figures come to, in a line."""
    joints, f1 = np.array(figures["joints_after_mm"]), np.array(figures["f1_hand"])
    beyond = np.array(figures["depth_mm"]) - np.array(figures["true_depth_mm"])
    start = np.median(figures["joints_before_mm"])
    parts = [
        f"{len(joints)} grasps",
        f"joints {start:.1f} -> {np.median(joints):.1f} mm, p90 {np.quantile(joints, 0.9):.1f}",
        f"vertices {np.median(figures['vertices_before_mm']):.1f} -> {np.median(figures['vertices_after_mm']):.1f} mm",
        f"above {FAILED_MM:g} mm: {np.count_nonzero(joints > FAILED_MM)}",
        f"F1 of the hand's contact {np.median(f1):.2f}, of the object's {np.median(figures['f1_object']):.2f}",
        f"deeper than in truth by {np.median(beyond):.1f} mm, at most {beyond.max():.1f}",
        f"{np.median(figures['seconds']):.2f} CPU s per grasp",
    ]
    return "; ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
