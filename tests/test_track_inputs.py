"""What the tracker is asked for in vain: each ends in one clear line, and what can be made sense of does not."""

import numpy as np
import pytest

from tests.track_samples import make_scene
from warpprior.errors import InputError
from warpprior.estimators.track import track
from warpprior.overrides import apply_overrides
from warpprior.tracking.settings import DIVIDED, TrackSettings


@pytest.mark.parametrize("name", DIVIDED)
def test_what_is_divided_by_is_not_zero(name):
    """From Python and from the command line, where a traceback was all one got; nor is it absurdly large."""
    for value in (0.0, 1e-7, 2e6):
        with pytest.raises(InputError, match=name):
            TrackSettings(**{name: value})
    with pytest.raises(InputError, match=name):
        apply_overrides(TrackSettings(), [f"{name}=0"])


@pytest.mark.parametrize("value", [1e-6, 1e6])
def test_the_ends_of_what_is_accepted_can_be_tracked_with(value):
    """All noise that sensors have, and all doubt of first poses, as small and as large as may be said."""
    settings = TrackSettings(**dict.fromkeys(DIVIDED, value))
    result = track(make_scene(12), settings, device="cpu")
    assert result.complete and np.isfinite(result.poses["block"].position).all()
    assert np.isfinite(result.poses["block"].covariance).all()
