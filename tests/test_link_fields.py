"""The signed distance of a body of links: one grid per link, placed by its pose."""

import gc
from dataclasses import replace
from weakref import ref

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.grasp_scenes import make_finger, make_motion
from warpprior.bodies import link_transforms
from warpprior.geometry.signed_distance import LinkFields, shared_link_fields


@pytest.fixture(scope="module")
def finger():
    """A finger of two links."""
    return make_finger()


def test_link_fields_follow_the_links(device, finger):
    """Distance to the bent finger is the least of the exact distances to its links, on either link and between."""
    bend = make_motion([[0.1, -0.2, 0.6]], [[0.3, -0.4, 0.5]], [[0.7]])
    fields = LinkFields(finger, device, resolution=24)
    links = link_transforms(finger, bend)[0].astype(float)
    assert fields.grids.links.numpy().tolist() == [0, 1] and not fields.notes
    random = np.random.default_rng(0)
    points = links[random.integers(0, 2, 600), :3] + random.uniform(-0.04, 0.04, (600, 3))
    exact, grid = [], []
    for index, (link, surface) in enumerate(zip(links, fields.surfaces, strict=True)):
        local = Rotation.from_quat(link[3:]).inv().apply(points - link[:3])
        exact.append(surface.measure(local)[0])
        grid.append(fields.grids.interpolate(index, local)[0])
        # Each link's box is centred on its joint.
        np.testing.assert_allclose(np.linalg.norm(surface.vertices, axis=1), 0.0006**0.5, rtol=1e-5)
    exact, error = np.min(exact, axis=0), np.min(grid, axis=0) - np.min(exact, axis=0)
    near = np.abs(exact) < 0.003
    assert near.sum() > 20
    assert np.abs(error[near]).max() < 2.0 * fields.grid_error_m
    assert error[exact > 0.0].min() > -fields.grid_error_m
    assert fields.grid_error_m < 0.002


def test_links_of_one_shape_share_their_surface(device, finger):
    """With the joint's frame straight both links are the same box: one surface, equal grids."""
    straight = replace(finger, joint_offsets=np.array([[0, 0, 0, 0, 0, 0, 1], [0, 0, 0.05, 0, 0, 0, 1]], np.float32))
    fields = LinkFields(straight, device, resolution=8)
    assert fields.surfaces[0] is fields.surfaces[1]
    np.testing.assert_array_equal(*fields.grids.values.numpy())
    np.testing.assert_array_equal(*fields.grids.origins.numpy())


def test_they_are_baked_once_for_all_terms_that_ask(device, finger):
    """As those of rigid bodies are; they go when the body does."""
    body = replace(finger)
    fields = shared_link_fields(body, device)
    assert shared_link_fields(body, device) is fields and shared_link_fields(finger, device) is not fields
    kept = ref(fields)
    del body, fields
    gc.collect()
    assert kept() is None
