"""Export a motion as a USD stage with contact heat, and check the file.

Open it in usdview, Omniverse, Isaac Sim or Blender (which needs its frame rate set to the stage's by hand).

Command: python examples/03_export_usd.py --output out/lift.usdc
"""

import argparse

import warpprior
from warpprior.usd import check_stage


def main():
    """Simulate, find the contacts of the true motion, export, check."""
    parser = argparse.ArgumentParser(description="Export a simulated scene to USD.")
    parser.add_argument("--output", default="out/lift.usdc", help=".usdc, .usd or .usda file")
    parser.add_argument("--num-frames", type=int, default=30)
    args = parser.parse_args()

    scene = warpprior.simulate("robot_lift", frame_count=args.num_frames, images=False)
    truth = {body.name: body.truth or body.initial for body in scene.bodies}
    contacts = warpprior.find_contacts(scene, truth)
    warpprior.export_usd(scene, truth, args.output, contacts=contacts)

    findings = check_stage(args.output)
    print(*findings or ["no findings"], sep="\n")
    print(f"wrote {args.output}: {scene.frame_count} frames, {len(contacts)} pair(s) in contact")


if __name__ == "__main__":
    main()
