"""Sums by pairs of links: shares of vertices, which links carry samples, and what joints do to them.

What follows from the sums is held to float64 twins in test_sliding.py and test_contour.py.
"""

from dataclasses import replace

import numpy as np
import warp as wp

from tests.body_samples import make_rigid_body, make_tree_body
from tests.fit_samples import Sample, wander
from tests.gradcheck import POISON
from warpprior.kernels.link_blocks import vec6
from warpprior.kernels.link_motions import move_links
from warpprior.system.link_blocks import LinkSamples, LinkSums
from warpprior.system.surface_motion import descendants, joint_widths

TREE = make_tree_body(vertices=24, influences=3, pose_blend=True)


def sums_of(body, device):
    """Sums of the body's links in three frames, and the sample that it moves in."""
    sample = Sample([body], [wander(body, 3)], device)
    sums = LinkSums(sample.scene.body(body.name), sample.state)
    sums.update()
    return sums, sample


def test_moments_of_a_vertex_add_up_to_where_it_is(device):
    """Links, each by its share, carry a vertex to its place, pose blend shapes included."""
    sums, sample = sums_of(TREE, device)
    moments = sums.carriers().moments.numpy()
    found = np.zeros((3, TREE.vertex_count, 3))
    np.add.at(found, (slice(None), sums.table[:, 0]), moments)
    positions = sample.state.states[TREE.name].poses.numpy()[:, None, :3]
    np.testing.assert_allclose(found + positions, sample.state.vertices.numpy(), atol=1e-6)


def test_faint_shares_go_to_the_strongest(device):
    """What is not worth an entry is not lost: shares of every vertex sum to one, and a link twice is one entry."""
    weights = np.tile([0.7, 0.29995, 0.00005], (TREE.vertex_count, 1)).astype(np.float32)
    links = np.tile([1, 2, 3], (TREE.vertex_count, 1)).astype(np.int32)
    links[0] = [4, 4, 4]
    sums, _ = sums_of(replace(TREE, skin_weights=weights, skin_links=links), device)
    shares = sums.carriers().shares.numpy()
    totals = np.bincount(sums.table[:, 0], weights=shares)
    np.testing.assert_allclose(totals, 1.0, atol=1e-6)
    assert sums.table[sums.table[:, 0] == 0].tolist() == [[0, 4]]
    assert set(sums.table[sums.table[:, 0] > 0][:, 1]) == {1, 2}


def test_pairs_are_those_of_faces(device):
    """Two links have a block if some face follows both, and blocks are numbered without gaps."""
    sums, _ = sums_of(TREE, device)
    wanted = np.zeros_like(sums.pairs, dtype=bool)
    for face in TREE.faces:
        links = np.unique(TREE.skin_links[face])
        wanted[np.ix_(links, links)] = True
    np.testing.assert_array_equal(sums.pairs >= 0, wanted)
    np.testing.assert_array_equal(np.sort(sums.pairs[wanted]), np.arange(wanted.sum()))


def test_samples_are_told_by_the_links_that_carry_them(device):
    """Links of a face, ascending, each with its entries of the face's corners."""
    sums, sample = sums_of(TREE, device)
    carriers = LinkSamples(sums, TREE.faces, sample.state, sample.equations.starts).carriers
    starts, links, entries = carriers.starts.numpy(), carriers.links.numpy(), carriers.entries.numpy()
    for face, first, last in zip(TREE.faces, starts[:-1], starts[1:], strict=True):
        np.testing.assert_array_equal(links[first:last], np.unique(TREE.skin_links[face]))
        for link, of_link in zip(links[first:last], entries[first:last], strict=True):
            for corner, entry in zip(face, of_link, strict=True):
                follows = link in TREE.skin_links[corner]
                assert (sums.table[entry].tolist() == [corner, link]) if follows else entry == -1


def test_a_known_body_is_carried_by_one_link(device):
    """Nothing of it moves, whatever its joints are."""
    block = replace(make_rigid_body(24), name="block")
    motions = [wander(body, 3, seed=seed) for seed, body in enumerate((TREE, block))]
    sample = Sample([TREE, block], motions, device, known=(TREE.name,))
    sums = LinkSums(sample.scene.body(TREE.name), sample.state)
    assert not sums.bends and sums.pairs.tolist() == [[0]]


def test_joints_turn_and_shift_links_as_chains_say(device):
    """What a joint does to a vertex, by the links that carry it, is its derivative by the joint's coordinates."""
    sums, sample = sums_of(TREE, device)
    state, model = sample.state.states[TREE.name], sample.state.models[TREE.name]
    widths = joint_widths(TREE)
    joints = np.flatnonzero(widths)
    firsts = np.cumsum([0, *widths[joints]])
    movers = wp.array(np.column_stack([joints, firsts[:-1]]).astype(np.int32), dtype=wp.vec2i, device=device)
    motions = wp.full((3, int(firsts[-1])), vec6(POISON), dtype=vec6, device=device)
    move_links(
        movers, model.tree, state.joints, state.links, state.poses, state.poses, motions_out=motions
    )  # fmt: skip
    turn, shift = np.split(motions.numpy().astype(float), 2, axis=2)
    moments, shares = sums.carriers().moments.numpy().astype(float), sums.carriers().shares.numpy().astype(float)
    wanted = np.zeros((3, TREE.vertex_count, TREE.coordinate_count, 3))
    starts, columns, values = (
        a.numpy() for a in (sample.surfaces.starts, sample.surfaces.columns, sample.surfaces.values)
    )
    for vertex in range(TREE.vertex_count):
        span = slice(starts[vertex], starts[vertex + 1])
        np.add.at(wanted, (slice(None), vertex, columns[span] - 6), values[:, span])
    found, below = np.zeros_like(wanted), descendants(TREE)
    for joint, first in zip(joints, firsts[:-1], strict=True):
        moved = below[joint, sums.table[:, 1]] == 1
        for k in range(widths[joint]):
            part = np.cross(turn[:, None, first + k], moments) + shares[:, None] * shift[:, None, first + k]
            coordinate = int(TREE.coordinate_starts[joint]) + k
            np.add.at(found, (slice(None), sums.table[moved, 0], coordinate), part[:, moved])
    np.testing.assert_allclose(found, wanted, atol=1e-6)
