"""What bodies weigh: volume, centre and inertia of surfaces, and what scene.toml says of matter."""

import numpy as np
import pytest
from result_samples import make_box
from scipy.spatial.transform import Rotation
from small_scene import write_scene

from warpprior.bodies.mass import DENSITY, FRICTION, Matter, solid_of, together
from warpprior.io import load_scene, save_scene
from warpprior.support.errors import InputError


def inertia_of(properties):
    """The inertia tensor about the centre of mass, in the body's frame."""
    axes = Rotation.from_quat(properties.axes).as_matrix()
    return axes @ np.diag(properties.moments) @ axes.T


def test_a_turned_box_weighs_as_boxes_do():
    """Mass, centre and inertia of a box far from the origin are those of the formula."""
    sides, box = np.array([0.08, 0.06, 0.12]), make_box()
    turn, place = Rotation.from_rotvec([0.3, -0.8, 0.5]), np.array([0.4, -1.0, 2.0])
    found = solid_of(turn.apply(box.vertices) + place, box.faces).weighed(500.0)
    mass = 500.0 * sides.prod()
    expected = np.diag(mass / 12.0 * (np.sum(sides**2) - sides**2))
    assert found.mass == pytest.approx(mass, rel=1e-6)
    np.testing.assert_allclose(found.center, place, atol=1e-9)
    np.testing.assert_allclose(
        inertia_of(found), turn.as_matrix() @ expected @ turn.as_matrix().T, rtol=1e-5, atol=1e-12
    )


def test_two_halves_weigh_as_the_whole():
    """Solids put together have the volume, centre and spread of the whole."""
    box = make_box()
    lower = box.vertices.astype(np.float64) * [1.0, 1.0, 0.5] - [0.0, 0.0, 0.03]
    upper = lower + np.array([0.0, 0.0, 0.06])
    whole, halves = solid_of(box.vertices, box.faces), together([solid_of(p, box.faces) for p in (lower, upper)])
    assert halves.volume == pytest.approx(whole.volume, rel=1e-6)
    np.testing.assert_allclose(halves.center, whole.center, atol=1e-9)
    np.testing.assert_allclose(halves.second, whole.second, rtol=1e-5, atol=1e-13)


@pytest.mark.parametrize("spoil", ["open", "inside out"])
def test_what_encloses_nothing_weighs_as_its_hull(spoil):
    """A box without a lid, or turned inside out, weighs what the box does."""
    box = make_box()
    faces = box.faces[2:] if spoil == "open" else box.faces[:, ::-1]
    found = solid_of(box.vertices, faces, closed=spoil != "open")
    assert found.volume == pytest.approx(solid_of(box.vertices, box.faces).volume, rel=1e-6)


def test_a_flat_sheet_has_some_mass():
    """One triangle is a plate a millimetre thick, with positive moments."""
    found = solid_of(np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], float), np.array([[0, 1, 2]])).weighed(1000.0)
    assert found.mass == pytest.approx(0.01) and (found.moments > 0.0).all()


def test_mass_goes_before_density():
    """A mass says it all; a density needs the volume; nothing said is water, with the friction of skin."""
    assert Matter(mass=0.3, density=7000.0).density_of(1e-3) == pytest.approx(300.0)
    assert Matter(density=700.0).density_of(1e-3) == 700.0
    assert Matter().density_of(1e-3) == DENSITY and Matter().friction_used == FRICTION


def test_matter_is_read_and_kept(tmp_path):
    """mass and friction of scene.toml reach the scene and are written back; what is out of range is refused."""
    tiny_scene = write_scene(tmp_path / "tiny")
    path = tiny_scene / "scene.toml"
    path.write_text(path.read_text().replace("label = 2", "label = 2\nmass = 0.31\nfriction = 0.45", 1))
    scene = load_scene(tiny_scene)
    heavy = [body.matter for body in scene.bodies if body.label == 2]
    assert heavy == [Matter(mass=0.31, friction=0.45)]
    again = load_scene(save_scene(scene, tmp_path / "again"))
    assert [body.matter for body in again.bodies] == [body.matter for body in scene.bodies]
    path.write_text(path.read_text().replace("mass = 0.31", "mass = -1"))
    with pytest.raises(InputError, match="mass"):
        load_scene(tiny_scene)
