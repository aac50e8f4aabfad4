"""Convex hulls of surfaces: few, tight, covering, and found once."""

import numpy as np
import pytest
from result_samples import make_box
from scipy.spatial import ConvexHull

from warpprior.geometry.hulls import MOST_CORNERS, MOST_HULLS, convex_hull, convex_parts
from warpprior.geometry.kept_hulls import kept_parts
from warpprior.geometry.signed_distance import Surface
from warpprior.scenes.objects import make_object


def beyond(hulls, points):
    """How far points (point, 3) are outside of the nearest of the hulls, by its planes (point,) [m]."""
    outside = np.full(len(points), np.inf)
    for hull in hulls:
        planes = ConvexHull(hull.vertices.astype(np.float64)).equations
        outside = np.minimum(outside, (points @ planes[:, :3].T + planes[:, 3]).max(axis=1))
    return outside


def spread_over(hull, count=8):
    """Points on the faces of a hull (point, 3)."""
    corners = hull.vertices[hull.faces].astype(np.float64)
    shares = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], (len(corners), count))
    return np.einsum("fsk,fki->fsi", shares, corners).reshape(-1, 3)


def test_a_convex_body_is_one_hull():
    """A box has one hull: itself."""
    box = make_box()
    (hull,) = convex_parts(box.vertices, box.faces)
    np.testing.assert_array_equal(np.unique(hull.vertices, axis=0), np.unique(box.vertices, axis=0))
    assert len(hull.faces) == 12


def test_hulls_leave_the_hollow_of_a_mug_open():
    """Its hulls are bounded in number, cover the mug, and hold little but it: a ball falls into it."""
    body = make_object("mug").body
    hulls = convex_parts(body.vertices, body.faces)
    assert 4 < len(hulls) <= MOST_HULLS
    assert beyond(hulls, body.vertices.astype(np.float64)).max() < 1e-3
    off, _, _ = Surface(body.vertices, body.faces, "mug").measure(np.concatenate([spread_over(h) for h in hulls]))
    assert np.percentile(off, 95) < 0.003 and off.max() < 0.02
    (whole,) = convex_parts(body.vertices, body.faces, most=1)
    assert Surface(body.vertices, body.faces, "mug").measure(spread_over(whole))[0].max() > 0.03


@pytest.mark.parametrize("most", [8, 24])
def test_corners_are_bounded(most):
    """A ball of a thousand points becomes a closed polyhedron of few corners that stays near it, seen from outside."""
    points = np.random.default_rng(1).normal(size=(1000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    hull = convex_hull(points, most)
    assert len(hull.vertices) <= most and len(hull.faces) == 2 * len(hull.vertices) - 4
    corners = hull.vertices[hull.faces].astype(np.float64)
    volume = np.linalg.det(corners).sum() / 6.0
    assert (0.9 if most == 24 else 0.3) * 4.19 * 0.7 < volume < 4.19
    assert beyond([hull], points).max() < (0.35 if most == 24 else 0.8)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_flat_points_become_a_thin_box(count):
    """Two points, a triangle and points of one plane have a hull a millimetre thick."""
    points = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0], [0.05, 0.02, 0]], float)[:count]
    hull = convex_hull(points)
    assert beyond([hull], points).max() < 1e-6
    assert np.ptp(hull.vertices, axis=0).min() == pytest.approx(1e-3, rel=0.1)


def test_hulls_are_found_once(tmp_path, monkeypatch):
    """The second time they come from the file; a damaged file, or one of another version, is not taken."""
    monkeypatch.setattr("warpprior.geometry.kept_hulls.kept_folder", lambda _: tmp_path)
    body = make_object("banana").body
    first = kept_parts(body.vertices, body.faces)
    (path,) = tmp_path.glob("*.npz")

    def fail(*_, **__):
        raise AssertionError("found again")

    monkeypatch.setattr("warpprior.geometry.kept_hulls.convex_parts", fail)
    again = kept_parts(body.vertices, body.faces)
    assert len(again) == len(first) > 1
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.vertices, other.vertices)
        np.testing.assert_array_equal(one.faces, other.faces)
    with pytest.raises(AssertionError, match="found again"):
        kept_parts(body.vertices, body.faces, corners=MOST_CORNERS - 1)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(AssertionError, match="found again"):
        kept_parts(body.vertices, body.faces)


def test_a_fine_surface_is_thinned_first(tmp_path, monkeypatch):
    """A surface of more faces than are cut has the hulls of one with fewer."""
    monkeypatch.setattr("warpprior.geometry.kept_hulls.kept_folder", lambda _: tmp_path)
    monkeypatch.setattr("warpprior.geometry.kept_hulls.MANY_FACES", 1000)
    body = make_object("banana").body
    hulls = kept_parts(body.vertices, body.faces)
    assert beyond(hulls, body.vertices.astype(np.float64)).max() < 3e-3
