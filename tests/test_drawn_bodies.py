"""Bodies of very many faces are drawn with fewer: within the stated error, and moving and bending as they did."""

from dataclasses import replace

import numpy as np
import pytest

from tests.heavy_robot import pillow
from warpprior.bodies import posed_vertices, rigid_body
from warpprior.bodies.simplify import distance_between
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.tracking.drawn_bodies import MANY_FACES, PIXELS, allowed_error, drawn_with_fewer
from warpprior.tracking.mask_evidence import MaskResidual
from warpprior.tracking.single_frame import SingleFrame

CAMERA = Camera(200, 160, 300.0, 300.0, 100.0, 80.0)
FLAT = np.array([[0.0, 0.0, 0.0, 1.0]])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of its own for every test."""
    monkeypatch.setattr("warpprior.bodies.decimation_cache.kept_folder", lambda _: tmp_path / "cache")


@pytest.fixture(scope="module")
def scene():
    """A pillow of very many faces in front of a small one that is tracked."""
    heavy, light = (pillow(size, faces) for size, faces in (((0.03, 0.05, 0.02), 5400), ((0.05, 0.04, 0.06), 600)))
    hand, mug = rigid_body("hand", *heavy), rigid_body("mug", *light)
    at = lambda *place: Poses(np.array([place]), FLAT, np.zeros((1, 0)))  # noqa: E731
    bodies = SceneBody(hand, 1, True, at(-0.03, 0.01, 0.4)), SceneBody(mug, 2, False, at(0.0, 0.0, 0.5))
    return Scene("heavy", CAMERA, 30.0, bodies)


def test_fewer_faces_within_the_error(scene):
    """A tenth of a pixel where the object is at first; vertices are some of the body's."""
    hand, error = scene.body("hand"), allowed_error(CAMERA, [scene.body("mug")])
    assert hand.body.face_count > MANY_FACES and 0.5 * PIXELS * 0.5 / 300.0 < error <= PIXELS * 0.5 / 300.0
    drawn, kept = drawn_with_fewer(hand, error)
    few, many = drawn.body, hand.body
    assert few.face_count < 0.7 * many.face_count
    assert distance_between(few.vertices, few.faces, many.vertices, many.faces, 0.01) <= error
    np.testing.assert_array_equal(few.vertices, many.vertices[kept])
    larger = replace(hand, initial=replace(hand.initial, scale=2.0))
    assert drawn_with_fewer(larger, error)[0].body.face_count > few.face_count, "the error is that of the scaled body"


def test_what_has_few_faces_is_drawn_as_it_is(scene):
    """And so is what is watched, however many it has."""
    mug = scene.body("mug")
    assert drawn_with_fewer(mug, 0.01) == (mug, None)
    watched = replace(scene, bodies=(replace(scene.body("hand"), known=False), mug))
    frame = SingleFrame(watched)
    assert len(frame.state.vertices.numpy()[0]) == sum(body.body.vertex_count for body in watched.bodies)


def test_what_is_hidden_is_hidden_by_it(device, scene, monkeypatch):
    """Evidence about the mug is the same, by pose and by all vertices of the hand, to a per cent of its size."""
    poses = {body.name: body.initial for body in scene.bodies}
    frame = SingleFrame(scene, device)
    canvas = frame.canvas(["hand", "mug"], outlined=False)
    canvas.draw_faces(frame.state.screen)
    drawn = canvas.keys.numpy().reshape(CAMERA.height, CAMERA.width) > 0
    hand = frame.canvas(["hand"], outlined=False)
    hand.draw_faces(frame.state.screen)
    labels = np.where(hand.keys.numpy().reshape(drawn.shape) > 0, 1, 2 * drawn).astype(np.uint8)
    off = poses | {"mug": replace(poses["mug"], position=poses["mug"].position + np.array([0.002, 0.001, 0.0]))}
    few = MaskResidual(scene, device).measure(labels, off)["mug"]
    vertices = posed_vertices(scene.body("hand").body, poses["hand"])[0]
    given = MaskResidual(scene, device).measure(labels, off, surfaces={"hand": vertices})["mug"]
    monkeypatch.setattr("warpprior.tracking.single_frame.drawn_with_fewer", lambda body, error: (body, None))
    many = MaskResidual(scene, device).measure(labels, off)["mug"]
    for found in (few, given):
        np.testing.assert_allclose(found.information, many.information, atol=0.01 * np.abs(many.information).max())
        np.testing.assert_allclose(found.vector, many.vector, atol=0.01 * np.abs(many.vector).max())
