"""Refine a scene folder: read it, refine it, measure before and after, write a result folder.

Command: python examples/01_refine_a_folder.py SCENE --output-dir out/refined
"""

import argparse
from dataclasses import replace

import warpprior


def main():
    """Read, refine, measure, write."""
    parser = argparse.ArgumentParser(description="Refine a scene folder.")
    parser.add_argument("scene", help="folder with scene.toml")
    parser.add_argument("--output-dir", default="out/refined")
    parser.add_argument("--num-frames", type=int, help="use only the first ones")
    parser.add_argument("--device", help="cpu or cuda:0; the first GPU if there is one")
    args = parser.parse_args()

    scene = warpprior.load_scene(args.scene, num_frames=args.num_frames)
    result = warpprior.refine(scene, device=args.device)

    start = {body.name: body.initial for body in scene.bodies}
    before = warpprior.evaluate(scene, start, device=args.device)
    after = warpprior.evaluate(scene, result.poses, device=args.device)
    contacts = warpprior.find_contacts(scene, result.poses)
    result = replace(result, metrics={"before": before, "after": after}, contacts=contacts)

    for body in scene.bodies:
        if not body.known:
            overlaps = (metrics["summary"][body.name]["mask_iou"]["median"] for metrics in (before, after))
            print("{}: mask IoU {:.3f} before, {:.3f} after".format(body.name, *overlaps))
    warpprior.save_result(result, args.output_dir)
    print(f"open {args.output_dir}/report.html")


if __name__ == "__main__":
    main()
