"""A MANO hand: read your MANO_RIGHT.pkl or MANO_LEFT.pkl, move it, draw labels, disturb it, and get it back.

MANO's files are yours to fetch: https://mano.is.tue.mpg.de, free for research after registration.  They are read
without running what is pickled in them, and without chumpy; `warpprior convert-mano` makes plain arrays of them.

Command: python examples/07_mano_hand.py MANO_RIGHT.pkl
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

import warpprior
from warpprior.bodies import posed_keypoints
from warpprior.render.images import render_labels


def main():
    """Read, move, draw, disturb, refine, compare."""
    parser = argparse.ArgumentParser(description="Refine a MANO hand.")
    parser.add_argument("model", nargs="?", default="MANO_RIGHT.pkl", help="MANO's .pkl, or an .npz made of it")
    parser.add_argument("--num-frames", type=int, default=20)
    parser.add_argument("--device", help="cpu or cuda:0; the first GPU if there is one")
    args = parser.parse_args()
    if not Path(args.model).is_file():
        print(f"there is no {args.model}: get MANO from https://mano.is.tue.mpg.de and name its file")
        print("without a licence take our own hand, as in 05_hand_and_mug.py; nothing else would change")
        return
    hand = warpprior.read_mano(args.model)
    frames = np.arange(args.num_frames)
    rng = np.random.default_rng(0)

    # Palm and fingers across the picture; every ball joint turns a little, back and forth, about its z axis.
    camera = warpprior.Camera(width=320, height=240, fx=300.0, fy=300.0, cx=160.0, cy=120.0)
    facing = Rotation.from_euler("xz", [1.3, 0.2])
    rotation = Rotation.from_rotvec(np.outer(0.02 * frames, [0.2, 1.0, 0.3])) * facing
    position = np.stack([0.002 * frames, 0.01 * np.sin(0.2 * frames), 0.4 + 0.002 * frames], axis=1)
    bends = np.array([name.endswith(".z") for name in hand.coordinate_names])
    joints = np.outer(0.2 * np.sin(0.2 * frames), bends)
    shape = np.array([0.8, -0.5, *np.zeros(hand.shape_count - 2)])  # of one person, as your fit says
    truth = warpprior.Poses(position, rotation.as_quat(), joints, shape)

    points = posed_keypoints(hand, truth)
    pixels = points[..., :2] / points[..., 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    pixels = pixels + rng.normal(scale=1.0, size=pixels.shape)
    detected = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 0.9)], axis=2)
    turns = Rotation.from_rotvec(rng.normal(scale=np.radians(6.0), size=position.shape))
    rough = replace(
        truth,
        position=position + rng.normal(scale=0.01, size=position.shape),
        rotation=(turns * rotation).as_quat(),
        joints=joints + rng.normal(scale=0.1, size=joints.shape),
    )
    body = warpprior.SceneBody(hand, label=1, known=False, initial=rough, truth=truth)
    scene = warpprior.Scene("mano", camera, fps=30.0, bodies=(body,), keypoints2d={"hand": detected})
    scene = replace(scene, labels=render_labels(scene, {"hand": truth}))

    result = warpprior.refine(scene, device=args.device)
    for title, poses in (("before", rough), ("after", result.poses["hand"])):
        summary = warpprior.evaluate(scene, {"hand": poses}, device=args.device)["summary"]["hand"]
        found = [summary[key]["median"] for key in ("keypoint_mm", "add_mm")]
        print("{:>6}: keypoints off by {:5.1f} mm, vertices by {:5.1f} mm".format(title, *found))


if __name__ == "__main__":
    main()
