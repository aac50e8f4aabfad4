"""How much deeper than usual bodies overlap at no cost is told by labels, where a body is known."""

import numpy as np
import pytest

from warpprior.system.allowances import overlap_notes
from warpprior.system.equations import _bounded_solution


@pytest.mark.parametrize(("value", "said"), [(0.0, 0), (0.001, 0), (0.009, 1)])
def test_only_what_is_clearly_deeper_is_said(value, said):
    """And with how deep it is in all."""
    notes = overlap_notes({"hand in box": value}, 0.001)
    assert len(notes) == said and all("10.0 mm" in note for note in notes)


def test_others_make_the_best_of_what_is_cut():
    """A cut unknown stays at its bound; the other solves what is left."""
    matrix, right = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([-3.0, 0.0])
    bounds = (np.array([0.0, -9.0]), np.array([9.0, 9.0]))
    np.testing.assert_allclose(_bounded_solution(matrix, right, None), [-2.0, 1.0])
    np.testing.assert_allclose(_bounded_solution(matrix, right, bounds), [0.0, 0.0])
    np.testing.assert_allclose(_bounded_solution(matrix, right + np.array([0.0, 4.0]), bounds), [0.0, 2.0])
