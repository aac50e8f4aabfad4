"""All bodies of a scene at one moment: where they are placed, what surfaces are given, what is watched together."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_ball, make_block, make_clamp, make_motion, make_scene
from warpprior.bodies import animated_body
from warpprior.bodies.posing import posed_vertices
from warpprior.scene import SceneBody
from warpprior.tracking.mask_evidence import MaskResidual
from warpprior.tracking.single_frame import SingleFrame


@pytest.fixture
def pair():
    """A box in a clamp that is known, and a ball beside it."""
    box = make_motion((0.0, 0.0, 0.45), spin=(0.1, 0.2, 0.0), drift=(0.004, 0.0, 0.01), frames=4)
    ball = make_motion((0.05, 0.05, 0.5), frames=4)
    bodies = (make_clamp(), make_block(), make_ball())
    return make_scene(bodies, (box, box, ball), (box, box, ball), known=("clamp",), symmetry={"ball": "sphere"})


def truth_at(scene, frame):
    """True poses of one frame."""
    return {body.name: body.truth.frames(slice(frame, frame + 1)) for body in scene.bodies}


def test_bodies_are_where_they_are_placed(device, pair):
    """Vertices in the camera frame, pictures of them, poses; bodies that are not named stay."""
    frame = SingleFrame(pair, device)
    frame.place(truth_at(pair, 0))
    frame.place({"box": truth_at(pair, 3)["box"]})
    for name, moment in (("box", 3), ("clamp", 0)):
        body = pair.body(name)
        first = frame.state.first_vertex(name)
        wanted = posed_vertices(body.body, body.truth)[moment]
        found = frame.state.vertices.numpy()[0, first : first + len(wanted)]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        column = pair.camera.fx * wanted[:, 0] / wanted[:, 2] + pair.camera.cx
        np.testing.assert_allclose(frame.state.screen.numpy()[0, first : first + len(wanted), 0], column, atol=1e-3)
    truth = pair.body("box").truth
    np.testing.assert_allclose(frame.position("box"), truth.position[3], atol=1e-6)
    np.testing.assert_allclose(frame.rotation("box"), Rotation.from_quat(truth.rotation[3]).as_matrix(), atol=1e-6)
    assert [body.name for body in frame.watched] == ["box", "ball"] and frame.known[0].name == "clamp"


def test_windows_are_in_the_picture(device, pair):
    """Around the body and a margin, cut off by the picture; none behind the camera or beside the picture."""
    frame = SingleFrame(pair, device)
    poses = truth_at(pair, 0)
    frame.place(poses)
    window = frame.window([pair.body("box")], 5.0)
    drawn = np.argwhere(pair.labels[0] == 2)[:, ::-1]
    assert (drawn.min(axis=0) - window.origins[0] >= 4).all()
    assert (window.origins[0] + [window.width, window.height] - drawn.max(axis=0) >= 5).all()
    whole = frame.window(pair.bodies, 1e4)
    assert (whole.width, whole.height) == (pair.camera.width, pair.camera.height)
    for position in ([0.0, 0.0, -0.5], [9.0, 0.0, 0.5]):
        frame.place({"box": replace(poses["box"], position=np.array([position]))})
        assert frame.window([pair.body("box")], 5.0) is None


def test_surfaces_of_a_moment_follow_its_pose(device, pair):
    """A body given as a surface in every frame hides what the body it was made of hides."""
    clamp = pair.body("clamp")
    surface = posed_vertices(clamp.body, clamp.truth)
    still = replace(clamp.truth, position=np.zeros((4, 3)), rotation=np.tile([0.0, 0.0, 0.0, 1.0], (4, 1)))
    animated = SceneBody(animated_body("clamp", surface, clamp.body.faces), 1, True, still, still)
    other = replace(pair, bodies=(animated, *pair.bodies[1:]))
    found = [MaskResidual(scene, device).measure(scene.labels[2], truth_at(scene, 2)) for scene in (pair, other)]
    for name in ("box", "ball"):
        scale = np.abs(found[0][name].information).max()
        np.testing.assert_allclose(found[1][name].information, found[0][name].information, atol=1e-4 * scale)


def test_objects_are_told_apart(device, pair):
    """Each by its own label, in any order; of the ball's turns nothing is said."""
    turned = replace(pair, bodies=pair.bodies[::-1])
    poses = truth_at(pair, 1)
    found, other = (MaskResidual(scene, device).measure(pair.labels[1], poses) for scene in (pair, turned))
    for name in ("box", "ball"):
        scale = np.abs(found[name].information).max()
        np.testing.assert_allclose(other[name].information, found[name].information, atol=1e-4 * scale)
    assert np.linalg.matrix_rank(found["ball"].information, tol=1e-6 * np.abs(found["ball"].information).max()) == 3
    blind = np.where(pair.labels[1] == 2, 0, pair.labels[1]).astype(np.uint8)
    found = MaskResidual(pair, device).measure(blind, poses)
    assert not found["box"].information.any() and found["ball"].information.any()


def test_how_far_a_surface_moves(device, pair):
    """Across and along the line of sight: by shift, by turn times the radius, by coming nearer."""
    frame = SingleFrame(pair, device)
    frame.place(truth_at(pair, 0))
    radius = float(np.linalg.norm(pair.body("ball").body.vertices, axis=1).max())

    def moved(step):
        return frame.spread("ball", np.outer(step, step))

    np.testing.assert_allclose(moved([0.003, 0.0, 0.0, 0.0, 0.0, 0.0]), (0.003, 0.0), atol=1e-12)
    np.testing.assert_allclose(moved([0.0, 0.0, 0.01, 0.0, 0.0, 0.0]), (0.01 * radius / 0.5, 0.01), rtol=1e-5)
    np.testing.assert_allclose(moved([0.0, 0.0, 0.0, 0.0, 0.1, 0.0]), (0.1 * radius, 0.1 * radius), rtol=1e-6)
