"""A live loop: a robot's joints come at about 100 Hz, now and then, a camera's masks at 15 Hz and 60 ms late.

The tracker knows a camera and two bodies, and nothing that was recorded.  A mask that arrives is merged at the time at
which it was taken, and what the bottle does is predicted to the time at which it is asked for.

Command: python examples/09_track_online.py --num-frames 60
"""

import argparse
import time

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

import warpprior


def simulated_events(scene, seed, latency):
    """What arrives, and when: (arrival, timestamp, observation), in the order of arrival; and the true motion."""
    random, times = np.random.default_rng(seed), scene.times
    hand, bottle = scene.body("hand").initial, scene.body("bottle").truth
    turned = Slerp(times, Rotation.from_quat(hand.rotation))
    at = lambda moment, values: np.array([np.interp(moment, times, column) for column in values.T])  # noqa: E731
    events, moment = [], 0.0
    while moment < times[-1]:
        pose = warpprior.HandPose(at(moment, hand.position), turned(moment).as_quat(), at(moment, hand.joints))
        events.append((moment, moment, warpprior.Observation(hands={"hand": pose})))
        moment += random.uniform(0.006, 0.014)
    for frame in range(0, scene.frame_count, 2):  # the camera runs half as fast as the simulation
        taken = float(times[frame]) + 1e-4
        events.append((taken + latency, taken, warpprior.Observation(labels=scene.labels[frame])))
    return sorted(events, key=lambda event: event[0]), lambda moment: at(moment, bottle.position)


def main():
    """Make a tracker, feed it what arrives, compare its predictions with the truth."""
    parser = argparse.ArgumentParser(description="Track a bottle live from joints and masks that come late.")
    parser.add_argument("--num-frames", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.06, help="of masks [s]")
    parser.add_argument("--state", default="tracker.npz", help="file that keeps the tracker's state at the end")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0; steps are small, a GPU gains little")
    args = parser.parse_args()

    scene = warpprior.simulate("robot_lift", seed=args.seed, frame_count=args.num_frames, images=False)
    events, true_place = simulated_events(scene, args.seed, args.latency)
    robot, bottle = scene.body("hand"), scene.body("bottle")
    bodies = [
        warpprior.TrackedBody(robot.body, known=True, label=robot.label),
        warpprior.TrackedBody(
            bottle.body,
            bottle.initial.position[0],
            bottle.initial.rotation[0],
            label=bottle.label,
            symmetry=bottle.symmetry,
        ),
    ]
    tracker = warpprior.Tracker(scene.camera, bodies, observe=["mask"], late_s=0.2, device=args.device)

    first = np.linalg.norm(bottle.initial.position[0] - bottle.truth.position[0])
    print(f"the first pose is off by {1e3 * first:.0f} mm")
    print("    now  state      contacts  speed      off by   sigma    step")
    misses, spent, masks = [], [], 0
    for now, timestamp, observation in events:
        began = time.perf_counter()
        tracker.step(observation, timestamp)
        spent.append(1e3 * (time.perf_counter() - began))
        if observation.labels is None:
            continue
        expected = tracker.predict(max(now, tracker.timestamp))
        misses.append(1e3 * np.linalg.norm(expected.position["bottle"] - true_place(now)))
        sigma = 1e3 * np.sqrt(np.trace(expected.covariance["bottle"][:3, :3]))
        speed = np.linalg.norm(expected.twist["bottle"][:3])
        if masks % 3 == 0:
            print(
                f"{now:5.2f} s  {expected.modes['bottle']:<9}  {len(expected.contacts):>8}  {speed:4.2f} m/s"
                f"  {misses[-1]:5.1f} mm  {sigma:4.1f} mm  {spent[-1]:4.1f} ms"
            )
        masks += 1
    if expected.contacts:
        contact = expected.contacts[0]
        print(f"the bottle is held by {contact.link}, which has slid over it by {1e3 * contact.slip_m:.1f} mm")
    np.savez(args.state, **tracker.save())  # another Tracker of the same bodies takes it by restore()
    half = len(misses) // 2
    print(f"last half: off by {np.median(misses[half:]):.1f} mm, {np.median(spent):.1f} ms a step")


if __name__ == "__main__":
    main()
