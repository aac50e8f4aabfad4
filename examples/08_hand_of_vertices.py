"""A hand that is known as a moving surface, from whatever tracked it, shows where the object it holds is.

Command: python examples/08_hand_of_vertices.py
"""

import argparse
from pathlib import Path

import numpy as np

import warpprior
from warpprior.bodies import posed_vertices


def main():
    """Write a hand's vertices, read them as a body, and refine the object by them."""
    parser = argparse.ArgumentParser(description="Refine an object held by a hand that is given as vertices.")
    parser.add_argument("--num-frames", type=int, default=20)
    parser.add_argument("--output", type=Path, default=Path("out/hand.npz"), help="where the vertices are written")
    parser.add_argument("--device", help="cpu or cuda:0; the first GPU if there is one")
    args = parser.parse_args()

    lift = warpprior.simulate("grasp_lift", frame_count=args.num_frames, images=False)
    simulated, thing = lift.bodies

    # Stands for your tracker: (frame, vertex, 3) in metres, in the camera frame, and the triangles.
    vertices = posed_vertices(simulated.body, simulated.truth)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.output, vertices=vertices, faces=simulated.body.faces)

    body = warpprior.read_animated(args.output, "hand", frame_count=args.num_frames)
    poses = warpprior.Poses.identity(args.num_frames)
    hand = warpprior.SceneBody(body, label=simulated.label, known=True, initial=poses)
    scene = warpprior.Scene("held", lift.camera, lift.fps, (hand, thing), labels=lift.labels)

    result = warpprior.refine(scene, device=args.device)
    for title, motion in (("before", thing.initial), ("after", result.poses[thing.name])):
        summary = warpprior.evaluate(scene, {thing.name: motion})["summary"][thing.name]
        print(f"{title:>6}: the {thing.name} is off by {summary['add_mm']['median']:.1f} mm")


if __name__ == "__main__":
    main()
