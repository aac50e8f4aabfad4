"""Lighter bodies that stand in for those of very many faces: how far off they may be, and what must stay."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import trimesh
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import disturb, make_motion, make_scene
from tests.heavy_robot import pillow, write_heavy_robot
from warpprior.bodies import posed_vertices, read_urdf, rigid_body
from warpprior.bodies.simplify import distance_between
from warpprior.bodies.stand_in import lighter
from warpprior.refinement.run import refine
from warpprior.scene import Camera
from warpprior.settings import RefineSettings
from warpprior.system.stand_ins import stand_in_notes, with_originals, with_stand_ins
from warpprior.terms import TERMS, Contour, default

ERROR = 2e-4


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of its own for every test."""
    monkeypatch.setattr("warpprior.bodies.decimation_cache.kept_folder", lambda _: tmp_path / "cache")


@pytest.fixture(scope="module")
def heavy():
    """A rigid pillow of more than 5,000 faces, in two colours."""
    vertices, faces = pillow((0.05, 0.04, 0.06), 5400)
    colors = np.where(vertices[:, 2:] > 0.0, [[0.1, 0.1, 0.1]], [[0.9, 0.8, 0.7]])
    return rigid_body("box", vertices, faces, colors=colors.astype(np.float32))


def away(one, other):
    """How far apart two bodies' surfaces are at rest [m]."""
    return distance_between(one.vertices, one.faces, other.vertices, other.faces, 0.01)


def test_a_body_of_many_faces_gets_a_lighter_one(heavy):
    """Within the error, and it knows what it stands for and how far off it is."""
    light = lighter(heavy, ERROR, colors=False)
    assert light.face_count < 0.5 * heavy.face_count and light.closed
    assert light.stands_for.body is heavy and 0.0 < light.stands_for.away_m <= ERROR
    assert away(light, heavy) == pytest.approx(light.stands_for.away_m, rel=1e-3)
    assert lighter(light, 0.01) is light, "a stand-in has none of its own, or errors would add up"


def test_neither_surface_lies_inside_the_other():
    """A ball keeps volume and outlines to a tenth and a twentieth of the error; vertices alone would lose a quarter."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.05)
    body = rigid_body("ball", np.asarray(ball.vertices), np.asarray(ball.faces))
    light = lighter(body, 4e-4)
    found = trimesh.Trimesh(light.vertices, light.faces, process=False)
    assert light.face_count < 0.5 * body.face_count
    assert abs(found.volume - ball.volume) / ball.area < 0.1 * 4e-4
    turns, changes = Rotation.random(12, random_state=0), []
    for turn in turns:
        one, other = (ConvexHull(turn.apply(each.vertices)[:, :2]) for each in (light, body))
        changes.append((one.volume - other.volume) / other.area)
    assert abs(np.mean(changes)) < 0.05 * 4e-4


def test_colours_stay_where_they_are_compared(heavy):
    """With them the edge between the two colours keeps its vertices."""
    plain, painted = lighter(heavy, 1e-3, colors=False), lighter(heavy, 1e-3)
    assert painted.face_count > 1.1 * plain.face_count
    dark = painted.colors[:, 0] < 0.5
    assert dark.any() and np.array_equal(dark, painted.vertices[:, 2] > 0.0)


def test_vertices_given_twice_hinder_nothing(heavy):
    """A soup of triangles with faces without area is welded first."""
    corners = heavy.vertices[heavy.faces].reshape(-1, 3)
    faces = np.concatenate([np.arange(len(corners)).reshape(-1, 3), [[0, 0, 1]]])
    soup = lighter(rigid_body("box", corners, faces), ERROR)
    assert soup.face_count == pytest.approx(lighter(heavy, ERROR, colors=False).face_count, rel=0.05)


def test_robots_are_simplified_link_by_link(tmp_path):
    """Links, coordinates and motion are the same, and every link keeps a surface of its own."""
    robot = read_urdf(write_heavy_robot(tmp_path, 9000), "hand", simplify=False)
    light = lighter(robot, ERROR)
    assert light.face_count < 0.6 * robot.face_count and light.link_names == robot.link_names
    assert set(light.skin_links[:, 0]) == set(robot.skin_links[:, 0])
    poses = replace(make_motion((0.0, 0.0, 0.5), frames=2), joints=np.linspace(0.1, 1.2, 24).reshape(2, 12))
    for one, other in zip(posed_vertices(light, poses), posed_vertices(robot, poses), strict=True):
        assert distance_between(one, light.faces, other, robot.faces, 0.01) <= ERROR + 1e-6


def test_what_bends_or_has_few_faces_is_left_alone(heavy):
    """And what could do with hardly fewer faces."""
    few = rigid_body("box", heavy.vertices, heavy.faces[:4000])
    assert lighter(few, ERROR) is few
    count = heavy.vertex_count
    halves = {"skin_links": np.zeros((count, 2), np.int32), "skin_weights": np.full((count, 2), 0.5, np.float32)}
    bending = replace(heavy, **halves)
    assert lighter(bending, ERROR) is bending
    rough = heavy.vertices + np.random.default_rng(0).normal(scale=1e-3, size=heavy.vertices.shape)
    rough = rigid_body("box", rough, heavy.faces)
    assert lighter(rough, 1e-5) is rough


def scene_of(body, frames):
    """The body on its way past the camera, as its labels show it, its start off."""
    truth = make_motion((0.004, -0.003, 0.9), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06), frames=frames)
    return make_scene((body,), (truth,), (disturb(truth, depth=0.05, degrees=6.0),))


def test_the_error_on_the_screen_is_kept(heavy):
    """Whatever the focal length, the distance and the size factor: drawn points move by less than was asked for."""
    scene = scene_of(heavy, 3)
    found = []
    for focal, scale, pixels in ((80.0, 1.0, 0.1), (800.0, 1.0, 0.1), (800.0, 0.5, 0.1), (80.0, 1.0, 0.02)):
        item = scene.body("box")
        sized = replace(item, initial=replace(item.initial, scale=scale))
        given = replace(scene, camera=Camera(96, 96, focal, focal, 48.0, 48.0), bodies=(sized,))
        light = with_stand_ins(given, pixels).body("box").body
        surface = posed_vertices(heavy, sized.initial)
        assert light.stands_for.away_m * scale * focal / surface[..., 2].min() <= pixels
        found.append(light.stands_for.away_m * scale)
    assert found[1] < found[0] and found[3] < found[0]
    assert with_stand_ins(scene, 0.0) is scene
    assert with_originals(with_stand_ins(scene, 0.1)).body("box").body is heavy
    assert stand_in_notes(scene, {}) == []


def test_refine_gives_back_the_bodies_it_was_given(device, heavy):
    """With the poses of all faces to a tenth of a pixel, and a note that says how far off the lighter body was."""
    scene = scene_of(heavy, 4)
    light = refine(scene, RefineSettings(without=("hypotheses",)), device=device)
    exact = refine(scene, RefineSettings(without=("hypotheses",), stand_in_px=0.0), device=device)
    assert light.scene.body("box").body is heavy and exact.scene.body("box").body is heavy
    (note,) = (note for note in light.notes if note.startswith("box: 5"))
    assert f"{heavy.face_count} faces were computed as" in note and "stand_in_px=0" in note
    assert not any("were computed as" in note for note in exact.notes)
    away = light.poses["box"].position - exact.poses["box"].position
    assert np.abs(away.mean(axis=0)).max() < 2e-4, "a body drawn smaller would be nearer by 5e-4 m"


def test_terms_of_ones_own_see_all_faces(device, heavy):
    """They may know vertices by number."""

    class Counting(Contour):
        name = "counting"
        seen: ClassVar[list[int]] = []

        def bind(self, problem):
            self.seen.append(problem.motion.assembly.vertex_count)
            return super().bind(problem)

    assert Counting not in TERMS
    scene = scene_of(heavy, 2)
    result = refine(scene, RefineSettings(iterations=1), terms=[*default(scene), Counting()], device=device)
    assert Counting.seen == [heavy.vertex_count] and not any("computed as" in note for note in result.notes)
