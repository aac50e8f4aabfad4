"""Results of whole scenes as stages: no validator, nor our own check, has anything to say of them."""

from dataclasses import replace

import pytest
from stage_samples import issues_of

from warpprior import RefineSettings, refine, track
from warpprior.contacts.touching import find_contacts
from warpprior.scenes import simulate
from warpprior.usd import StageOptions, Take, check_stage
from warpprior.usd.export import export_take

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Usd

SCENES = {
    "demo": ("grasp_lift", {"object": "mug"}),
    "robot_lift": ("robot_lift", {}),
    "handover": ("handover", {}),
    "tracked": ("grasp_lift", {"object": "bottle"}),
}
BOTH = (StageOptions(), StageOptions(robot="articulation", hand_rig="skel"))


@pytest.mark.parametrize("name", SCENES)
def test_nothing_is_found_in_results(name, tmp_path):
    """Neither errors nor warnings in what a scene became, with its contacts, in either form of hands and robots."""
    kind, options = SCENES[name]
    scene = simulate(kind, seed=7, frame_count=5, fps=2.5, images=False, device="cpu", **options)
    if name == "tracked":
        result = track(scene.with_poses({body.name: body.truth for body in scene.bodies}), device="cpu")
        assert any(motion.covariance is not None for motion in result.poses.values())
    else:
        result = refine(scene, RefineSettings(iterations=2), device="cpu", check_first=False)
    contacts = find_contacts(scene, result.poses, device="cpu")
    assert contacts
    for number, form in enumerate(BOTH):
        path = tmp_path / f"{number}.usdc"
        export_take(Take.of(replace(result, contacts=contacts)), path, options=form)
        assert check_stage(path) == []
        assert issues_of(Usd.Stage.Open(str(path)), path) == []
