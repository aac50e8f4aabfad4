"""Import, export, live writing and reading of stages in a fresh process: prints, as JSON, what they left changed.

    PYTHONPATH=CHECKOUT PYTHON -m tests.usd_traces

needs what the package needs, and any OpenUSD: that of usd-core, usd-exchange, Newton or Kit.
"""

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

PROBE = "a warning of the program around it"  # must reach standard error, whoever listens to OpenUSD's diagnostics
UNWANTED = ("torch", "cv2", "matplotlib", "PIL", "tqdm", "trimesh", "multiprocessing.resource_tracker")
CUBE = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
SIDES = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4)]
SIDES += [(1, 5, 7), (1, 7, 3)]


def state():
    """What a program that embeds this must find as it was."""
    import warp

    numbers = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
    return {
        "environment": dict(os.environ),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "signals": {str(number): repr(signal.getsignal(number)) for number in numbers},
        "blocked signals": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "wp.config": {key: repr(value) for key, value in vars(warp.config).items() if not key.startswith("__")},
        "folder": os.getcwd(),
        "hooks": [repr(hook) for hook in (sys.excepthook, sys.gettrace(), threading.excepthook, sys.stdout)],
        "path": list(sys.path),
        "unwanted modules": sorted(set(UNWANTED) & sys.modules.keys()),
        "limits": [resource.getrlimit(kind) for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS)],
        "pxr": list(sys.modules["pxr"].__path__),
    }


def use_everything(folder):
    """Every call of ours that touches USD; returns what they found, to be sure that they did."""
    import numpy as np
    from pxr import Usd

    import warpprior
    from warpprior import usd

    turn = np.tile([0.0, 0.0, 0.0, 1.0], (3, 1))
    place = np.array([[0.0, 0.0, 0.5], [0.01, 0.0, 0.5], [0.02, 0.0, 0.5]])
    box = warpprior.rigid_body("box", 0.05 * np.array(CUBE, dtype=np.float32), np.array(SIDES))
    hand = warpprior.read_hand("right", name="hand")
    motions = {
        "box": warpprior.Poses(place, turn, np.zeros((3, 0))),
        "hand": warpprior.Poses(place + 0.2, turn, np.zeros((3, hand.coordinate_count))),
    }
    bodies = tuple(
        warpprior.SceneBody(body, label, known=False, initial=motions[body.name])
        for label, body in enumerate((box, hand), start=1)
    )
    scene = warpprior.Scene("traces", warpprior.Camera(64, 48, 60.0, 60.0, 32.0, 24.0), 30.0, bodies)
    files = [Path(folder) / f"scene.{ending}" for ending in ("usdc", "usdz")]
    for file in files:
        warpprior.export_usd(scene, motions, file)
    usd.export_takes({"a": usd.Take(scene, motions), "b": usd.Take(scene, motions)}, Path(folder) / "takes.usda")
    stage = Usd.Stage.CreateInMemory()
    usd.write(stage, usd.Take(scene, motions), prim="/Results/whole")
    door = usd.LiveStage(stage, scene, prim="/Results/live")
    for frame in range(3):
        fields = ("position", "rotation", "joints")
        at = {key: {name: getattr(one, key)[frame] for name, one in motions.items()} for key in fields}
        door.write(SimpleNamespace(timestamp=frame / 30.0, **at))
    read = warpprior.read_mesh(stage.GetPrimAtPath("/Results/live/box"), "box")
    apart = [warpprior.read_mesh(file, "box", prim="/World/box").vertex_count for file in files]
    moving = warpprior.read_animated(files[0], "hand", frame_count=3, fps=30.0, prim="/World/hand/hand")
    findings = usd.check_stage(files[0]) + usd.check_stage(Usd.Stage.Open(str(files[1])))
    return [read.vertex_count, *apart, moving.vertex_count == hand.vertex_count, len(findings)]


def main():
    """Warp and OpenUSD are the program's own: they are loaded, and start their threads, before."""
    import warp
    from pxr import Tf

    for name in ("Gf", "Kind", "Sdf", "Usd", "UsdGeom", "UsdLux", "UsdPhysics", "UsdShade", "UsdUtils", "Vt"):
        importlib.import_module(f"pxr.{name}")
    warp.init()
    before = state()
    with tempfile.TemporaryDirectory() as folder:
        found = use_everything(folder)
    after = state()
    Tf.Warn(PROBE)
    changed = {key: [before[key], after[key]] for key in before if before[key] != after[key]}
    print(json.dumps({"found": found, "changed": changed, "pxr": after["pxr"]}))


if __name__ == "__main__":
    main()
