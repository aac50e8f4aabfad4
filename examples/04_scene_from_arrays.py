"""A scene without a folder: a mesh, a camera, label images and rough poses from arrays of your own.

Command: python examples/04_scene_from_arrays.py
"""

import argparse
from dataclasses import replace

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

import warpprior
from warpprior.render.images import render_labels


def main():
    """Draw labels of a known motion, disturb the motion, and get it back."""
    parser = argparse.ArgumentParser(description="Refine a scene made of arrays.")
    parser.add_argument("--num-frames", type=int, default=20)
    parser.add_argument("--device", help="cpu or cuda:0; the first GPU if there is one")
    args = parser.parse_args()

    # Your mesh in metres, your camera, and the motion: camera_from_body, quaternions x, y, z, w.
    mesh = trimesh.creation.box((0.06, 0.04, 0.12)).subdivide().subdivide()
    body = warpprior.rigid_body("parcel", mesh.vertices, mesh.faces)
    camera = warpprior.Camera(width=320, height=240, fx=300.0, fy=300.0, cx=160.0, cy=120.0)
    time = np.arange(args.num_frames) / 30.0
    position = np.stack([0.3 * time - 0.1, 0.03 * np.sin(6.0 * time), 0.6 + 0.08 * time], axis=1)
    rotation = Rotation.from_rotvec(np.array([0.4, 0.6, 0.1]) + np.outer(time, [1.2, 0.8, 0.3]))
    truth = warpprior.Poses(position, rotation.as_quat(), np.zeros((args.num_frames, 0)))

    # What an estimator for single frames would give: 3 cm and 10 degrees off, differently in every frame.
    rng = np.random.default_rng(0)
    shifts = rng.normal(scale=0.03, size=position.shape)
    turns = Rotation.from_rotvec(rng.normal(scale=np.radians(10.0), size=position.shape))
    rough = replace(truth, position=position + shifts, rotation=(rotation * turns).as_quat())

    parcel = warpprior.SceneBody(body, label=1, known=False, initial=rough, truth=truth)
    scene = warpprior.Scene("parcel", camera, fps=30.0, bodies=(parcel,))
    scene = replace(scene, labels=render_labels(scene, {"parcel": truth}))

    result = warpprior.refine(scene, device=args.device)
    for title, poses in (("before", rough), ("after", result.poses["parcel"])):
        summary = warpprior.evaluate(scene, {"parcel": poses})["summary"]["parcel"]
        print(f"{title:>6}: mean distance of the vertices {summary['add_mm']['median']:.1f} mm")


if __name__ == "__main__":
    main()
