"""A loss of your own on your own tape: skin -> silhouette -> loss in Warp, and Adam on the poses of a body.

Command: python examples/11_own_tape.py --num-steps 150
"""

import argparse

import numpy as np
import trimesh
import warp as wp
import warp.optim
from scipy.spatial.transform import Rotation

import warpprior


@wp.kernel
def square_differences(image: wp.array4d[float], target: wp.array4d[float], loss: wp.array[float]):
    """Sum of squares over frames, bodies and pixels: any kernel of yours would do."""
    frame, body, row, column = wp.tid()
    difference = image[frame, body, row, column] - target[frame, body, row, column]
    wp.atomic_add(loss, 0, difference * difference)


def main():
    """Draw masks of a known motion, disturb the motion, and come back along the gradient."""
    parser = argparse.ArgumentParser(description="Fit poses to masks with a loss of your own.")
    parser.add_argument("--num-frames", type=int, default=6)
    parser.add_argument("--num-steps", type=int, default=150)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    args = parser.parse_args()

    mesh = trimesh.creation.box((0.06, 0.04, 0.12)).subdivide().subdivide()
    parcel = warpprior.rigid_body("parcel", mesh.vertices, mesh.faces)
    camera = warpprior.Camera(width=160, height=120, fx=150.0, fy=150.0, cx=80.0, cy=60.0)
    time = np.arange(args.num_frames) / 30.0
    true_position = np.stack([0.3 * time - 0.05, 0.03 * np.sin(6.0 * time), 0.5 + 0.08 * time], axis=1)
    true_rotation = Rotation.from_rotvec(np.array([0.4, 0.6, 0.1]) + np.outer(time, [1.2, 0.8, 0.3]))

    # What was observed, and a start that is 2 cm and 6 degrees off, differently in every frame.
    truth = {"parcel": (true_position, true_rotation.as_quat())}
    target = warpprior.render.silhouette(parcel, truth, camera=camera, device=args.device)
    rng = np.random.default_rng(0)
    away = rng.normal(size=true_position.shape)
    start = true_position + 0.02 * away / np.linalg.norm(away, axis=1, keepdims=True)
    turned = true_rotation * Rotation.from_rotvec(rng.normal(scale=np.radians(6.0), size=true_position.shape))

    # Plain float arrays, so that Warp's Adam takes them; warpprior sees them as vectors and quaternions.
    position = wp.array(start.astype(np.float32), dtype=float, device=args.device, requires_grad=True)
    rotation = wp.array(turned.as_quat().astype(np.float32), dtype=float, device=args.device, requires_grad=True)
    parameters = [position.flatten(), rotation.flatten()]
    optimizer = warp.optim.Adam(parameters, lr=1e-3)
    for step in range(args.num_steps + 1):
        loss = wp.zeros(1, dtype=float, device=args.device, requires_grad=True)
        with wp.Tape() as tape:
            surface = warpprior.geometry.skin(parcel, position, rotation)
            image = warpprior.render.silhouette(parcel, {"parcel": surface}, camera=camera)
            wp.launch(square_differences, dim=image.shape, inputs=[image, target], outputs=[loss], device=args.device)
        tape.backward(loss)
        if step % 50 == 0 or step == args.num_steps:
            off = 1e3 * np.linalg.norm(position.numpy() - true_position, axis=1)
            print(f"step {step:3d}: loss {loss.numpy()[0]:8.2f}, off by {np.median(off):5.2f} mm")
        optimizer.step([parameter.grad for parameter in parameters])
        tape.zero()


if __name__ == "__main__":
    main()
