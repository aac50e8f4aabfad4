"""A robot hand lifts a bottle: simulate it with noise, refine the bottle's motion, compare with the truth.

Command: python examples/02_simulate_and_refine.py --seed 3
"""

import argparse

import numpy as np

import warpprior


def main():
    """Simulate, refine, compare."""
    parser = argparse.ArgumentParser(description="Refine a simulated scene.")
    parser.add_argument("--num-frames", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu or cuda:0; the first GPU if there is one")
    args = parser.parse_args()

    # Masks as a good segmenter gives them; the bottle's poses some 15 degrees and 12 % in depth off.
    scene = warpprior.simulate("robot_lift", seed=args.seed, frame_count=args.num_frames, mask_noise="M1")
    result = warpprior.refine(scene, device=args.device)

    bottle = next(body for body in scene.bodies if not body.known)
    for title, poses in (("before", bottle.initial), ("after", result.poses[bottle.name])):
        distance = 1e3 * np.linalg.norm(poses.position - bottle.truth.position, axis=1)
        cosine = np.abs(np.sum(poses.rotation * bottle.truth.rotation, axis=1)).clip(max=1.0)
        angle = np.degrees(2.0 * np.arccos(cosine))
        print(f"{title:>6}: position off by {np.median(distance):5.1f} mm, rotation by {np.median(angle):5.1f} degrees")


if __name__ == "__main__":
    main()
