"""Whether a state that a tracker kept can be taken up again: it may come from a file, and files hold anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from warpprior.bodies.body import UNIT_TOLERANCE
from warpprior.support.errors import InputError
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.prediction import MODES

AT_TIMES = ("motion/control/", "motion/surface/", "updater/scale/", "updater/window/", "misses/", "began", "camera")
MAY_BE_NAN = ("timestamp", "contacts/", "surprises/last_seen/", "surprises/release/places")


def check_state(
    kept: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray], hands: Sequence[TrackedHand]
) -> dict[str, np.ndarray]:
    """Refuse a state that would break a tracker now or in a later step.

    Args:
        kept: what is to be taken up, such as an open ``.npz`` file.
        own: what the tracker itself would keep.
        hands: its hands.

    Returns:
        ``kept`` as a dictionary of arrays.

    Raises:
        InputError: names the array that is missing, or is not what it should be.
    """
    if not isinstance(kept, Mapping):
        raise _refused(f"a {type(kept).__name__}")
    kept = {key: np.asarray(values) for key, values in kept.items()}
    shapes = {key: values.shape for key, values in own.items() if not key.startswith(AT_TIMES)}
    for key in shapes:
        if key not in kept:
            raise _refused(f"no {key!r}")
    shapes["contacts/touched"] = (kept["contacts/touched"].size,)
    shapes["began"], shapes["camera"] = own["belief/covariance"].shape, (7,)
    for hand, carrier in enumerate(hands):
        shapes[f"motion/control/{hand}"] = (7 + carrier.width - 6,)
        if carrier.surface is not None:
            shapes[f"motion/surface/{hand}"] = carrier.surface.shape
    for key, values in kept.items():
        _check_kind(key, values, own)
        if key.startswith("updater/window/"):
            good = values.ndim == 2 and values.shape[1] == 2
        else:
            good = values.shape == (() if key.startswith(("updater/scale/", "misses/")) else shapes.get(key))
        if not good:
            raise _refused(f"{key!r} of shape {values.shape}")
    _check_values(kept, hands)
    return kept


def _check_kind(key: str, values: np.ndarray, own: Mapping[str, np.ndarray]) -> None:
    """Numbers where there are numbers, finite where they are."""
    kind = "i" if key.startswith("misses/") else own[key].dtype.kind if key in own else "f"
    if values.dtype.kind != kind:
        raise _refused(f"{key!r} of type {values.dtype}")
    if kind == "f" and not key.startswith(MAY_BE_NAN) and not np.isfinite(values).all():
        raise _refused(f"{key!r} with numbers that are not finite")


def _check_values(kept: dict[str, np.ndarray], hands: Sequence[TrackedHand]) -> None:
    """Rotations turn, covariances are some, and contacts are of what there is."""
    lengths = np.linalg.norm(kept["belief/rotation"], axis=1)
    if not (np.abs(lengths - 1.0) <= UNIT_TOLERANCE).all():
        raise _refused("'belief/rotation' that are no unit quaternions")
    covariance = kept["belief/covariance"]
    if not np.allclose(covariance, covariance.T) or (np.diagonal(covariance) < 0.0).any():
        raise _refused("'belief/covariance' that is none")
    if (np.diagonal(kept["twists/spread"]) < 0.0).any():
        raise _refused("'twists/spread' that is no covariance")
    modes = kept["motion/modes"]
    if not set(modes.tolist()) <= set(MODES):
        raise _refused("'motion/modes' of another version")
    hand, point, index = (kept[f"belief/anchor_{name}"] for name in ("hand", "point", "object"))
    points = np.array([len(carrier.points) for carrier in hands] + [0])
    used = hand >= 0
    good = (hand < len(hands)) & (index < len(modes)) & (used == (index >= 0)) & (used == (point >= 0))
    if not good.all() or not (point < points[hand])[used].all():
        raise _refused("'belief/anchor_hand' and others that do not fit the bodies")
    scales = [values for key, values in kept.items() if key.startswith("updater/scale/")]
    if any(not scale > 0.0 for scale in scales):
        raise _refused("'updater/scale' that is not positive")
    touched = kept["contacts/touched"]
    if not ((touched >= 0) & (touched < len(modes))).all():
        raise _refused("'contacts/touched' that do not fit the bodies")


def _refused(found: str) -> InputError:
    return InputError("state of a tracker", found, "one saved with the same scene, sensors and settings")
