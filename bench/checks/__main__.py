"""Detection of each fault over scenes and seeds, and false alarms on right ones.

python -m warpprior.bench.checks                 # every code on ten scenes, 100 clean ones
python -m warpprior.bench.checks --seeds 1 --codes mesh_scale pose_inverse
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator

from warpprior.bench.checks.faults import FAULTS, applies
from warpprior.checks.run import check
from warpprior.scene import Scene
from warpprior.scenes import simulate

SCENES = ("grasp_lift", "pour", "slip", "handover", "in_hand_turn", "robot_lift")
OBJECTS = ("mug", "bottle", "box", "can", "banana", "drill", "bowl")
ROBOT_OBJECTS = ("bottle", "box")
LEVELS = ("M0", "M1", "M2")
FIRST_SEED, FRAMES = 710, 16


def sequences(seeds: int) -> Iterator[tuple[str, Scene]]:
    """All kinds of scenes; objects and noise go round."""
    for number in range(seeds * len(SCENES)):
        name, level = SCENES[number % len(SCENES)], LEVELS[(number // 2) % len(LEVELS)]
        things = ROBOT_OBJECTS if name == "robot_lift" else OBJECTS
        thing = things[(number + number // len(SCENES)) % len(things)]
        seed = FIRST_SEED + number
        title = f"{name} {thing} {level} {seed}"
        yield title, simulate(name, object=thing, mask_noise=level, seed=seed, frame_count=FRAMES, images=False)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=17, help="sequences of each kind of scene (default: 17)")
    parser.add_argument("--faulty", type=int, default=12, help="sequences in which faults are made (default: 12)")
    parser.add_argument("--codes", nargs="*", default=list(FAULTS), choices=list(FAULTS), help="only these codes")
    options = parser.parse_args()
    found, others = defaultdict(list), defaultdict(list)
    alarms, seconds, brief_seconds = {"error": [], "warning": []}, [], []
    count = 0
    for title, scene in sequences(options.seeds):
        count += 1
        for brief, times in ((False, seconds), (True, brief_seconds)):
            began = time.perf_counter()
            findings = check(scene, brief=brief)
            times.append(time.perf_counter() - began)
            if brief:
                title += " (brief)"
            for level, said in alarms.items():
                said += [f"{title}: {each.code} of {each.body}" for each in findings if each.level == level]
        for code in options.codes if count <= options.faulty else ():
            for name, fault in FAULTS[code].items():
                if not applies(code, name, scene):
                    continue
                said = {each.code for each in check(fault(scene)) if each.level != "note"}
                found[code, name].append(code in said)
                others[code, name] += sorted(said - {code})
    print(f"{count} clean sequences, checked in full and in brief")
    for level, said in alarms.items():
        print(f"{level}s: {len(said)}", *said, sep="\n  ")
    for words, times in (("full", seconds), ("brief", brief_seconds)):
        print(f"seconds, {words}: median {sorted(times)[len(times) // 2]:.2f}, worst {max(times):.2f}")
    print(f"\n{'code':26} {'fault':20} {'found':>9}   other codes")
    for (code, name), hits in found.items():
        counts = {each: others[code, name].count(each) for each in sorted(set(others[code, name]))}
        rest = ", ".join(f"{each} {times}" for each, times in counts.items())
        print(f"{code:26} {name:20} {sum(hits):4d}/{len(hits):<4d}   {rest}")


if __name__ == "__main__":
    main()
