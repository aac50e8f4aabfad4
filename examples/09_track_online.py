"""A hand lifts a mug, and a tracker is told one frame after the other: where the mug is, how sure, in what time.

Half-way its state is saved to a file, and another tracker goes on from there.

Command: python examples/09_track_online.py --observe keypoints3d,center
"""

import argparse
import time
from pathlib import Path

import numpy as np

import warpprior


def main():
    """Simulate, stream, save and restore, compare with the truth."""
    parser = argparse.ArgumentParser(description="Track a simulated scene frame by frame.")
    parser.add_argument("--num-frames", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--observe", default="keypoints3d,center", help="sensors to believe, see warpprior track --help"
    )
    parser.add_argument("--state", default="tracker.npz", help="file that keeps the tracker's state half-way")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0; steps are small, a GPU gains little")
    args = parser.parse_args()

    # The hand's poses come from a network, its keypoints and the mug's middle from a depth camera.
    scene = warpprior.simulate(
        "grasp_lift", object="mug", seed=args.seed, frame_count=args.num_frames, images=False, pose_noise="rough"
    )
    mug = scene.body("mug")
    tracker = warpprior.Tracker(scene, observe=args.observe, device=args.device)
    print("  time  state      contacts  off by   sigma   step")
    misses, spent = [], []
    for frame, timestamp in enumerate(scene.times):
        if frame == args.num_frames // 2:
            np.savez(args.state, **tracker.save())
            tracker = warpprior.Tracker(scene, observe=args.observe, device=args.device)
            with np.load(args.state, allow_pickle=False) as kept:
                tracker.restore(dict(kept))
            print(f"the state went through {Path(args.state).name}")

        # What a live system fills in from its camera and networks; whatever is missing is left out.
        observation = warpprior.Observation(
            hands={
                "hand": warpprior.HandPose(
                    scene.body("hand").initial.position[frame],
                    scene.body("hand").initial.rotation[frame],
                    scene.body("hand").initial.joints[frame],
                )
            },
            keypoints3d={"hand": scene.keypoints3d["hand"][frame]},
            centers={"mug": scene.centers["mug"][frame]},
            labels=scene.labels[frame],
        )
        began = time.perf_counter()
        estimate = tracker.step(observation, float(timestamp))
        spent.append(1e3 * (time.perf_counter() - began))

        misses.append(1e3 * np.linalg.norm(estimate.position["mug"] - mug.truth.position[frame]))
        sigma = 1e3 * np.sqrt(np.trace(estimate.covariance["mug"][:3, :3]))
        if frame % 5 == 0:
            print(
                f"{timestamp:5.2f} s  {estimate.modes['mug']:<9}  {len(estimate.contacts):>8}  {misses[-1]:4.1f} mm"
                f"  {sigma:4.1f} mm  {spent[-1]:4.1f} ms"
            )
    half = len(misses) // 2
    print(f"last half: off by {np.median(misses[half:]):.1f} mm, {np.median(spent[half:]):.1f} ms a step")


if __name__ == "__main__":
    main()
