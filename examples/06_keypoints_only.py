"""A hand from detected keypoints alone, without a picture: 21 points per frame, as hand detectors give them.

Command: python examples/06_keypoints_only.py
"""

import argparse
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

import warpprior
from warpprior.bodies import posed_keypoints


def main():
    """Make keypoints of a known motion, start from a rough one, and get the motion back."""
    parser = argparse.ArgumentParser(description="Refine a hand from keypoints.")
    parser.add_argument("--num-frames", type=int, default=30)
    parser.add_argument("--side", choices=("right", "left"), default="right", help="of the hand")
    parser.add_argument("--device", help="cpu or cuda:0; the first GPU if there is one")
    args = parser.parse_args()
    frames = np.arange(args.num_frames)
    rng = np.random.default_rng(0)

    # A hand that moves past the camera and turns while its fingers close.
    hand = warpprior.read_hand(args.side)
    camera = warpprior.Camera(width=640, height=480, fx=600.0, fy=600.0, cx=320.0, cy=240.0)
    flexion = np.array([name.endswith(".x") and not name.startswith("thumb") for name in hand.coordinate_names])
    joints = np.outer(0.5 + 0.4 * np.sin(0.15 * frames), flexion)
    position = np.stack([0.004 * frames - 0.1, 0.02 * np.sin(0.2 * frames), 0.5 + 0.002 * frames], axis=1)
    rotation = Rotation.from_rotvec(np.outer(0.02 * frames, [0.3, 1.0, 0.2])) * Rotation.from_rotvec([0.0, 0.4, -1.2])
    truth = warpprior.Poses(position, rotation.as_quat(), joints)

    # What a detector reports: u, v [px] and a confidence.  Yours are in the order of hand.keypoints.names.
    points = posed_keypoints(hand, truth)
    pixels = points[..., :2] / points[..., 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    pixels = pixels + rng.normal(scale=2.0, size=pixels.shape)
    detected = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 0.9)], axis=2)

    # A rough start: everywhere the same half-closed hand, 8 cm too far away and turned by 20 degrees.
    turn = Rotation.from_rotvec([0.0, 0.0, np.radians(20.0)])
    far = position + np.array([0.0, 0.0, 0.08])
    rough = replace(
        truth, position=far, rotation=(turn * rotation).as_quat(), joints=np.tile(0.5 * flexion, (len(frames), 1))
    )

    body = warpprior.SceneBody(hand, label=1, known=False, initial=rough, truth=truth)
    scene = warpprior.Scene("waving", camera, fps=30.0, bodies=(body,), keypoints2d={"hand": detected})
    result = warpprior.refine(scene, device=args.device)
    for title, poses in (("before", rough), ("after", result.poses["hand"])):
        summary = warpprior.evaluate(scene, {"hand": poses}, device=args.device)["summary"]["hand"]
        found = [summary[key]["median"] for key in ("keypoint_mm", "keypoint_root_mm")]
        print("{:>6}: keypoints off by {:5.1f} mm, seen from the wrist by {:5.1f} mm".format(title, *found))


if __name__ == "__main__":
    main()
