"""The stacked update: textbook forms, what is left out, counted less or learnt, and a covariance that stays one."""

import numpy as np
import pytest
from scipy.stats import chi2

from tests.reference.tracking import information_update
from warpprior.support.errors import InputError
from warpprior.support.overrides import apply_overrides
from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import difference
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import MOST_ROWS, Rows, Updater

WIDTH = 20  # of a hand with two joints, an object, and two anchors


@pytest.fixture
def rng():
    """The same draws in every run."""
    return np.random.default_rng(7)


@pytest.fixture
def belief(rng):
    """Everything is correlated; about 1 cm and 0.01 rad."""
    return make_belief(rng)


def make_belief(rng):
    """A belief with a random covariance."""
    belief = Belief([8], np.array([[0.01, 0.02, -0.03]]), 2)
    belief.anchor_hand[:] = belief.anchor_object[:] = 0
    mix = rng.normal(size=(WIDTH, 2 * WIDTH)) / np.sqrt(2.0 * WIDTH)
    belief.covariance[:] = 1e-4 * (mix @ mix.T)
    return belief


def add(rows, sensor, key, jacobian, residual, variance):
    """One block with its derivative."""
    own = rows.add(sensor, key, np.asarray(residual, float), variance)
    own[:] = jacobian


def fill(rows, rng, blocks=6, size=3, sensor="toy", sigma=0.01):
    """Blocks of random rows, with residuals of their noise; returns Jacobian, residual and variance."""
    for key in range(blocks):
        add(rows, sensor, (key,), rng.normal(size=(size, WIDTH)), sigma * rng.normal(size=size), sigma**2)
    count = rows.count
    return rows.jacobian[:count].copy(), rows.residual[:count].copy(), rows.variance[:count].copy()


def moved_by(belief, before):
    """What was added to a belief's mean (width,)."""
    turns = [difference(after, was) for after, was in zip(belief.rotation, before["rotation"], strict=True)]
    shifts, anchors = belief.position - before["position"], (belief.anchors - before["anchors"]).ravel()
    return np.concatenate([shifts[0], turns[0], belief.joints[0], shifts[1], turns[1], anchors])


@pytest.mark.parametrize("robust", ["gate", "huber", "none"])
def test_joseph_equals_the_information_form(belief, rng, robust):
    """Change, mean and covariance to 1e-10 of their size; likely rows are treated alike by all ways of judging."""
    belief.covariance[:] = 1e-4 * belief.covariance  # so small that the reset does not count
    rows = Rows(WIDTH)
    jacobian, residual, variance = fill(rows, rng, sigma=1e-3)
    before, start = belief.means(), belief.covariance.copy()
    wanted, after = information_update(start, residual, jacobian, variance)
    change, told = Updater(TrackSettings(robust=robust))(belief, rows)
    np.testing.assert_allclose(change, wanted, rtol=1e-9, atol=1e-10 * np.abs(wanted).max())
    np.testing.assert_allclose(moved_by(belief, before), wanted, rtol=1e-7, atol=1e-10 * np.abs(wanted).max())
    belief_only = Belief([8], np.zeros((1, 3)), 2)
    belief_only.anchor_hand[:] = belief_only.anchor_object[:] = 0
    belief_only.covariance[:] = after
    belief_only.reset(wanted)
    np.testing.assert_allclose(belief.covariance, belief_only.covariance, atol=1e-10 * np.abs(after).max())
    assert told["toy"].dof == 18 and told["toy"].rejected == 0


def test_innovations_are_whitened_by_what_is_expected(belief, rng):
    """NIS is r' (H P H' + R)^-1 r per sensor, and the whitened innovations have its square length."""
    rows = Rows(WIDTH)
    fill(rows, rng, blocks=2, sensor="one")
    jacobian, residual, variance = fill(rows, rng, blocks=3, sensor="two")
    spread = jacobian @ belief.covariance @ jacobian.T + np.diag(variance)
    _, told = Updater(TrackSettings(robust="none"))(belief, rows)
    for sensor, own in (("one", slice(0, 6)), ("two", slice(6, 15))):
        expected = residual[own] @ np.linalg.solve(spread[own, own], residual[own])
        np.testing.assert_allclose(told[sensor].nis, expected, rtol=1e-10)
        np.testing.assert_allclose(np.sum(told[sensor].whitened ** 2), expected, rtol=1e-10)
    assert list(told) == ["one", "two"] and told["one"].dof == 6 and told["two"].dof == 9


@pytest.mark.parametrize("robust", ["gate", "huber"])
def test_covariances_stay_positive_over_a_thousand_updates(rng, robust):
    """Random rows, from vague to exact, with outliers, and growth in between: symmetric, and no direction negative."""
    belief, rows, updater = make_belief(rng), Rows(WIDTH), Updater(TrackSettings(robust=robust))
    for _ in range(1000):
        rows.clear()
        for key in range(int(rng.integers(1, 5))):
            size = int(rng.integers(1, 7))
            scale = 10.0 ** rng.uniform(-5.0, 0.0)
            jacobian = rng.normal(size=(size, WIDTH)) * (rng.random(WIDTH) < 0.5)
            add(rows, "toy", (key,), jacobian, scale * rng.standard_t(2.0, size=size), scale**2)
        updater(belief, rows)
        belief.covariance += np.diag(10.0 ** rng.uniform(-9.0, -5.0, WIDTH))
        np.testing.assert_array_equal(belief.covariance, belief.covariance.T)
        values = np.linalg.eigvalsh(belief.covariance)
        assert values[0] > 0.0 and values[-1] < 1.0
    assert np.abs(np.linalg.norm(belief.rotation, axis=1) - 1.0).max() < 1e-12


def test_a_gate_leaves_exactly_the_outlier_out(belief, rng):
    """The rest acts as if it had never been there."""
    rows, without = Rows(WIDTH), Rows(WIDTH)
    jacobian, residual, variance = fill(rows, rng)
    for key in (0, 1, 2, 4, 5):
        own = slice(3 * key, 3 * key + 3)
        add(without, "toy", (key,), jacobian[own], residual[own], variance[own])
    rows.residual[9:12] = 1.0
    twin = make_belief(np.random.default_rng(7))
    np.testing.assert_array_equal(twin.covariance, belief.covariance)
    updater = Updater(TrackSettings())
    change, told = updater(belief, rows)
    wanted, _ = updater(twin, without)
    np.testing.assert_allclose(change, wanted, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(belief.covariance, twin.covariance, rtol=1e-9, atol=1e-16)
    assert [block.taken for block in rows.blocks] == [True, True, True, False, True, True]
    assert told["toy"].rejected == 1 and told["toy"].dof == 15


@pytest.mark.parametrize("gate", [0.9, 0.99])
def test_gates_are_the_quantiles_they_are_called(rng, gate):
    """Blocks of each size, just inside and just outside the chi-squared quantile of that size."""
    updater = Updater(TrackSettings(gate=gate))
    for size in (1, 2, 3, 6):
        for factor, taken in ((0.999, True), (1.001, False)):
            belief, rows = make_belief(rng), Rows(WIDTH)
            jacobian = rng.normal(size=(size, WIDTH))
            spread = jacobian @ belief.covariance @ jacobian.T + 1e-4 * np.eye(size)
            residual = rng.normal(size=size)
            residual *= np.sqrt(factor * chi2.ppf(gate, size) / (residual @ np.linalg.solve(spread, residual)))
            add(rows, "toy", (0,), jacobian, residual, 1e-4)
            updater(belief, rows)
            assert rows.blocks[0].taken == taken


def test_huber_counts_outliers_less(belief, rng):
    """An outlier moves the mean less than without judging and more than behind a gate; likely rows count in full."""
    rows = Rows(WIDTH)
    jacobian, residual, _ = fill(rows, rng)
    residual[9:12] += 0.2
    moved = {}
    for robust in ("gate", "huber", "none"):
        twin, own = make_belief(np.random.default_rng(7)), Rows(WIDTH)
        for key in range(6):
            part = slice(3 * key, 3 * key + 3)
            add(own, "toy", (key,), jacobian[part], residual[part], 1e-4)
        change, told = Updater(TrackSettings(robust=robust))(twin, own)
        moved[robust] = change
        assert told["toy"].rejected == (robust == "gate")
        if robust == "huber":  # the noise of the outlier alone has grown
            assert (own.variance[9:12] > 1e-4).all() and np.all(np.delete(own.variance[:18], [9, 10, 11]) == 1e-4)
    pulled = {name: np.linalg.norm(change - moved["gate"]) for name, change in moved.items()}
    assert 0.0 < pulled["huber"] < 0.7 * pulled["none"]


def test_no_gate_at_zero(belief, rng):
    """A gate of zero takes everything, however unlikely."""
    rows = Rows(WIDTH)
    fill(rows, rng)
    rows.residual[:3] = 10.0
    _, told = Updater(TrackSettings(gate=0.0))(belief, rows)
    assert told["toy"].rejected == 0 and told["toy"].dof == 18


@pytest.mark.parametrize(("factor", "low", "high"), [(1.0, 0.7, 1.4), (3.0, 6.5, 12.0), (0.6, 0.25, 0.5)])
def test_adaptive_noise_finds_how_noisy_a_sensor_is(rng, factor, low, high):
    """A sensor told to have 1 cm and having more or less: the variance it is given comes near what it has."""
    settings = TrackSettings(adaptive=True, robust="none")
    belief, rows, updater = make_belief(rng), Rows(WIDTH), Updater(settings)
    growth = 1e-6 * np.eye(WIDTH)
    scales, truth = [], np.zeros(WIDTH)  # the true error of the mean
    truth[:] = np.linalg.cholesky(belief.covariance) @ rng.normal(size=WIDTH)
    for _ in range(300):
        belief.covariance += growth
        truth += 1e-3 * rng.normal(size=WIDTH)
        rows.clear()
        for key, sensor in ((0, "odd"), (1, "honest")):
            jacobian = rng.normal(size=(6, WIDTH))
            noise = 0.01 * (factor if sensor == "odd" else 1.0) * rng.normal(size=6)
            add(rows, sensor, (key,), jacobian, jacobian @ truth + noise, 1e-4)
        change, _ = updater(belief, rows)
        truth -= change
        scales.append([updater.scales.get("odd", 1.0), updater.scales.get("honest", 1.0)])
    assert np.all(scales[: settings.adaptive_window - 1] == np.ones(2))  # nothing is learnt from too few
    odd, honest = np.median(scales[100:], axis=0)
    print(odd, honest)
    assert low < odd < high and 0.7 < honest < 1.4


def test_learning_is_bounded(belief, rng):
    """A sensor that is a hundred times off is trusted 16 times less as a variance, not more, and not less."""
    rows, updater = Rows(WIDTH), Updater(TrackSettings(adaptive=True, robust="none"))
    for sigma, limit in ((1.0, 16.0), (0.0, 0.25)):
        for _ in range(70):
            rows.clear()
            add(rows, "toy", (0,), np.zeros((6, WIDTH)), sigma * rng.normal(size=6), 1e-4)
            updater(belief, rows)
        assert updater.scales["toy"] == limit


def test_nothing_is_learnt_unless_asked(belief, rng):
    """The default keeps the noise as it is set."""
    rows, updater = Rows(WIDTH), Updater(TrackSettings())
    for _ in range(40):
        rows.clear()
        fill(rows, rng, blocks=1, sigma=0.1)
        updater(belief, rows)
    assert not updater.scales and not updater.snapshot()


def test_what_was_learnt_can_be_kept(rng):
    """A restored updater goes on with the same scales, bit by bit."""
    settings = TrackSettings(adaptive=True, adaptive_window=5)
    whole, part = Updater(settings), Updater(settings)
    for step in range(12):
        own = [make_belief(np.random.default_rng(step)) for _ in range(2)]
        for belief, updater in zip(own, (whole, part), strict=True):
            rows = Rows(WIDTH)
            fill(rows, np.random.default_rng(step), blocks=2, sigma=0.03)
            updater(belief, rows)
        if step == 7:
            kept = {name: values.copy() for name, values in part.snapshot().items()}
            part = Updater(settings)
            part.restore(kept)
    assert whole.scales == part.scales and whole.scales["toy"] != 1.0
    for name, values in whole.snapshot().items():
        np.testing.assert_array_equal(part.snapshot()[name], values)


def test_without_rows_nothing_happens(belief):
    """Mean and covariance keep every bit."""
    before, covariance = belief.means(), belief.covariance.copy()
    change, told = Updater(TrackSettings())(belief, Rows(WIDTH))
    assert not change.any() and change.shape == (WIDTH,) and told == {}
    np.testing.assert_array_equal(belief.covariance, covariance)
    for name, values in belief.means().items():
        np.testing.assert_array_equal(values, before[name])


def test_where_all_is_rejected_nothing_happens(belief, rng):
    """It is only told how many there were."""
    rows, covariance = Rows(WIDTH), belief.covariance.copy()
    fill(rows, rng, blocks=2)
    rows.residual[:6] = 5.0
    change, told = Updater(TrackSettings())(belief, rows)
    assert not change.any() and told["toy"].rejected == 2 and told["toy"].dof == 0 and told["toy"].nis == 0.0
    np.testing.assert_array_equal(belief.covariance, covariance)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_residuals_that_are_no_numbers_are_not_taken(rng, bad):
    """The whole block is refused, and leaves no trace among the others."""
    rows = Rows(WIDTH)
    fill(rows, rng, blocks=1)
    assert rows.add("toy", (1,), np.array([0.0, bad, 0.0]), 1e-4) is None
    assert rows.count == 3 and len(rows.blocks) == 1


def test_rows_are_bounded_and_cleared(rng):
    """What does not fit is refused; after clearing, Jacobians are zero again."""
    rows = Rows(WIDTH)
    while rows.add("toy", (0,), np.ones(3), 1.0) is not None:
        rows.jacobian[rows.count - 3 : rows.count] = 1.0
    assert MOST_ROWS - 3 < rows.count <= MOST_ROWS
    rows.clear()
    assert rows.count == 0 and not rows.blocks and not rows.jacobian.any()


@pytest.mark.parametrize("robust", ["gate", "huber", "none"])
def test_the_order_of_blocks_does_not_matter(rng, robust):
    """Contacts and sensors in any order, an outlier of each among them: the same change, the same are left out."""
    jacobians, residuals = rng.normal(size=(8, 3, WIDTH)), 0.01 * rng.normal(size=(8, 3))
    residuals[[2, 6]] += 0.2
    found = []
    for order in (range(8), rng.permutation(8), range(7, -1, -1)):
        belief, rows = make_belief(np.random.default_rng(7)), Rows(WIDTH)
        for number in order:
            sensor = "contact" if number < 4 else "center"
            add(rows, sensor, (int(number),), jacobians[number], residuals[number], 1e-4)
        change, _ = Updater(TrackSettings(robust=robust))(belief, rows)
        found.append((change, belief.covariance, {block.key: block.taken for block in rows.blocks}))
    for change, covariance, taken in found[1:]:
        np.testing.assert_allclose(change, found[0][0], atol=1e-10)
        np.testing.assert_allclose(covariance, found[0][1], atol=1e-12)
        assert taken == found[0][2]
    assert sum(not good for good in found[0][2].values()) >= (2 if robust == "gate" else 0)


def test_an_unknown_way_of_judging_is_refused():
    """From Python and from the command line; a slip of the keyboard must not become another filter."""
    with pytest.raises(InputError, match="gate, huber, none"):
        TrackSettings(robust="hubber")
    with pytest.raises(InputError, match="gate, huber, none"):
        apply_overrides(TrackSettings(), ["robust=hubber"])
    assert apply_overrides(TrackSettings(), ["robust=huber"]) == TrackSettings(robust="huber")
