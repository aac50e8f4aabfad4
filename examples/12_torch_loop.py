"""An Adam loop in torch: the poses of a mug in a known hand, from its masks and from not reaching into the hand.

Command: python examples/12_torch_loop.py --num-steps 1000
Needs torch: pip install "warpprior[torch]"
"""

import argparse
import sys
import time
from dataclasses import replace

import numpy as np

import warpprior

SHRINK = 4  # masks are averaged over so many pixels squared: shares of pixels are what silhouettes are compared with


def main():
    """Simulate, put the mug 20 mm off, and come back along the gradient."""
    parser = argparse.ArgumentParser(description="Fit an object's poses in torch.")
    parser.add_argument("--num-frames", type=int, default=4)
    parser.add_argument("--num-steps", type=int, default=1000)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("this example needs torch: pip install 'warpprior[torch]'")
    torch.set_num_threads(1)  # pictures this small are done before a second thread has woken up

    # The middle of a grasp, when the mug is held; exact masks, as shares of larger pixels.
    scene = warpprior.simulate("grasp_lift", object="mug", frame_count=4 * args.num_frames, mask_noise="M0")
    frames = slice(2 * args.num_frames, 3 * args.num_frames)
    hand, mug = scene.body("hand"), scene.body("mug")
    full = scene.camera
    width, height = full.width // SHRINK, full.height // SHRINK
    lens = {name: getattr(full, name) / SHRINK for name in ("fx", "fy", "cx", "cy")}
    camera = replace(full, width=width, height=height, **lens)
    masks = np.stack([scene.labels[frames] == body.label for body in (hand, mug)], axis=1)
    masks = masks.reshape(-1, 2, height, SHRINK, width, SHRINK).mean(axis=(3, 5), dtype=np.float32)
    target = torch.tensor(masks, device=args.device)

    # Every frame 20 mm off in a direction of its own, and turned by some 5 degrees.
    truth, rng = mug.truth.frames(frames), np.random.default_rng(0)
    away = rng.normal(size=truth.position.shape)
    start = truth.position + 0.02 * away / np.linalg.norm(away, axis=1, keepdims=True)
    turned = truth.rotation + rng.normal(scale=0.03, size=truth.rotation.shape)
    position = torch.tensor(start, dtype=torch.float32, device=args.device, requires_grad=True)
    rotation = torch.tensor(turned, dtype=torch.float32, device=args.device, requires_grad=True)

    poses = hand.truth.frames(frames)
    given = [torch.tensor(a, dtype=torch.float32, device=args.device) for a in (poses.position, poses.rotation)]
    joints = torch.tensor(poses.joints, dtype=torch.float32, device=args.device)
    surface = warpprior.torch.skin(hand.body, *given, joints)

    optimizer = torch.optim.Adam([{"params": [position], "lr": 1e-3}, {"params": [rotation], "lr": 5e-3}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.num_steps, eta_min=1e-5)
    began = time.perf_counter()
    for step in range(args.num_steps + 1):
        optimizer.zero_grad()
        drawn = {"hand": surface, "mug": warpprior.torch.skin(mug.body, position, rotation)}
        image = warpprior.torch.silhouette([hand.body, mug.body], drawn, camera=camera)
        distance, _ = warpprior.torch.signed_distance(mug.body, surface, (position, rotation), method="grid")
        penetration = 1e3 * torch.relu(-distance)  # [mm]
        loss = (image - target).square().sum() / 100.0 + penetration.square().mean()
        loss.backward()
        if step % 100 == 0 or step == args.num_steps:
            off = 1e3 * np.linalg.norm(position.detach().cpu().numpy() - truth.position, axis=1)
            depth = float(penetration.detach().max())
            print(f"step {step:4d}: loss {loss.item():8.4f}, penetration {depth:5.2f} mm, off by {off.max():5.2f} mm")
        optimizer.step()
        schedule.step()
    spent = time.perf_counter() - began
    print(f"{1e3 * spent / (args.num_steps + 1):.1f} ms per step; the worst frame is off by {off.max():.2f} mm")


if __name__ == "__main__":
    main()
