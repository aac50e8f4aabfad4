"""A sensor from outside the package: a range finder that sees how far the block is, and sensors that are wrong."""

from pathlib import Path

import numpy as np
import pytest

import warpprior
from tests.track_samples import make_scene
from warpprior.observations import CHANNELS, SENSORS
from warpprior.tracking import sensors
from warpprior.tracking.recorded import observe_frame

FRAMES = 20


class RangeFinder(warpprior.Sensor):
    """How far the origin of one body is from the camera."""

    name = "range"

    def __init__(self, body, sigma_m, distances=None):
        self.body, self.sigma_m, self.distances = body, sigma_m, distances

    def measure(self, observation, believed):
        """One measurement of one row, where there is a reading."""
        if self.name in observation.extra:
            place = believed.position(self.body)
            distance = np.linalg.norm(place)
            jacobian = np.zeros((1, 6))
            jacobian[0, :3] = place / distance
            residual = [observation.extra[self.name] - distance]
            yield warpprior.Measurement(self.body, residual, jacobian, self.sigma_m)

    def read(self, scene, frame):
        """Of recordings."""
        return None if self.distances is None else self.distances[frame]


@pytest.fixture(scope="module")
def grip():
    """The gripper and the block, whose middle is not its origin."""
    return make_scene(FRAMES, seed=2, middle=(0.01, -0.02, 0.015))


def distances(scene):
    """True ones (frame,) [m]."""
    return np.linalg.norm(scene.body("block").truth.position, axis=1)


def along(covariance, position):
    """Sigma of a place along the line of sight [m]."""
    ray = position / np.linalg.norm(position)
    return np.sqrt(ray @ covariance[:3, :3] @ ray)


def test_a_range_finder(grip):
    """With nothing else, the block is known along the line of sight, to the sensor's noise, and not across it."""
    tracker = warpprior.Tracker(
        grip.camera, grip.bodies, observe=(), sensors=[RangeFinder("block", 0.002)], device="cpu"
    )
    for frame, distance in enumerate(distances(grip)[:3]):
        seen = warpprior.Observation(extra={"range": distance})
        estimate = tracker.step(seen, grip.times[frame])
    place, covariance = estimate.position["block"], estimate.covariance["block"]
    assert abs(np.linalg.norm(place) - distance) < 0.004 and along(covariance, place) < 0.004
    across = np.cross(place, [1.0, 0.0, 0.0])
    assert along(covariance, across) > 0.015
    assert estimate.innovations["range"].dof == 1


def test_jacobians_are_those_of_the_residuals(grip):
    """About the origin, as users have it, though the belief has the middle."""
    tracker = warpprior.Tracker(grip, observe=(), sensors=[RangeFinder("block", 0.002)], device="cpu")
    tracker.step(warpprior.Observation(), 0.0)
    belief, rows = tracker.belief, tracker._rows
    seen = warpprior.Observation(extra={"range": 0.5})
    kept, covariance = belief.means(), belief.covariance.copy()

    def residual(change):
        belief.move(change)
        rows.clear()
        tracker._sensors.add(belief, seen, rows)
        belief.assign(kept, covariance)
        return rows.residual[0]

    residual(np.zeros(belief.width))
    jacobian = rows.jacobian[0].copy()
    steps = 1e-5 * np.eye(belief.width)
    numeric = np.array([(residual(step) - residual(-step)) / 2e-5 for step in steps])
    np.testing.assert_allclose(-jacobian, numeric, atol=1e-6)
    assert np.abs(numeric[belief.object(0)][3:]).max() > 1e-3


def test_recordings_are_read_by_the_sensor_itself(grip):
    """And its innovations are in the history."""
    finder = RangeFinder("block", 0.002, distances(grip))
    result = warpprior.track(grip, observe="keypoints3d,center", sensors=[finder], device="cpu")
    plain = warpprior.track(grip, observe="keypoints3d,center", device="cpu")
    assert (result.history["dof/range"] <= 1).all() and result.history["dof/range"].sum() >= FRAMES - 2
    truth = grip.body("block").truth.position
    off, before = (
        np.abs(np.linalg.norm(r.poses["block"].position, axis=1) - np.linalg.norm(truth, axis=1)).mean()
        for r in (result, plain)
    )
    assert off < 0.5 * before


def test_a_sensor_may_have_a_gate_of_its_own(grip):
    """A reading that is a hand's breadth off is left out by the usual gate, and taken by one that lets all pass."""
    for gate, taken in ((None, 0), (0.0, 1)):
        finder = RangeFinder("block", 0.002)
        finder.gate = gate
        tracker = warpprior.Tracker(grip, observe="center", sensors=[finder], device="cpu")
        for frame in range(6):
            estimate = tracker.step(observe_frame(grip, frame, ("center",)), grip.times[frame])
        seen = warpprior.Observation(extra={"range": np.linalg.norm(estimate.position["block"]) + 0.1})
        assert tracker.step(seen, grip.times[6]).innovations["range"].dof == taken


def test_what_a_sensor_learns_is_kept(grip):
    """Saved, restored, and undone where a late observation is merged."""

    class Counting(RangeFinder):
        count = 0

        def measure(self, observation, believed):
            self.count += 1
            return super().measure(observation, believed)

        def snapshot(self):
            return {"count": np.array(self.count)}

        def restore(self, kept):
            self.count = int(kept["count"])

    finder = Counting("block", 0.002)
    tracker = warpprior.Tracker(grip.camera, grip.bodies, observe=(), sensors=[finder], device="cpu")
    for time in (0.0, 0.1, 0.2, 0.15):
        tracker.step(warpprior.Observation(), time)
    counts = finder.count
    other = Counting("block", 0.002)
    fresh = warpprior.Tracker(grip.camera, grip.bodies, observe=(), sensors=[other], device="cpu")
    fresh.restore(tracker.save())
    assert other.count == counts
    for time in (0.0, 0.1, 0.15, 0.2):
        if time == 0.0:
            ordered = Counting("block", 0.002)
            third = warpprior.Tracker(grip.camera, grip.bodies, observe=(), sensors=[ordered], device="cpu")
        third.step(warpprior.Observation(), time)
    assert ordered.count == counts


class Wrong(RangeFinder):
    """Measures whatever it is given."""

    def __init__(self, **changes):
        super().__init__("block", 0.002)
        self.changes = {"body": "block", "residual": [0.1], "jacobian": np.zeros((1, 6)), "sigma": 0.01} | changes

    def measure(self, observation, believed):
        """One measurement."""
        if observation.extra:
            yield warpprior.Measurement(**self.changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"body": "blok"}, "measures 'blok'; one of hand, block"),
        ({"body": "hand"}, "measures 'hand'; objects, as its 'sees' says"),
        ({"residual": [[0.1]]}, "residual: shape (1, 1); shape (n,)"),
        ({"jacobian": np.zeros((1, 3))}, "jacobian by 'block': shape (1, 3); finite, shape (1, 6)"),
        ({"jacobian": {"block": np.zeros((1, 6)), "hand": np.zeros((1, 6))}}, "by 'hand': shape (1, 6)"),
        ({"sigma": 0.0}, "sigma: 0.0; finite numbers above zero"),
    ],
    ids=["name", "hand", "flat", "narrow", "hand's", "sigma"],
)
@pytest.mark.parametrize("late", [False, True])
def test_measurements_that_do_not_fit_are_refused_and_harm_nothing(grip, changes, words, late):
    """In one line; the tracker stays as it was, also where an observation comes late."""
    tracker = warpprior.Tracker(grip.camera, grip.bodies, observe="center", sensors=[Wrong(**changes)], device="cpu")
    for frame in range(4):
        tracker.step(observe_frame(grip, frame, ("center",)), grip.times[frame])
    before = tracker.save()
    with pytest.raises(warpprior.InputError) as caught:
        time = grip.times[2] + 0.01 if late else grip.times[4]
        tracker.step(warpprior.Observation(extra={"range": 1.0}), time)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    for name, values in tracker.save().items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)
    tracker.step(observe_frame(grip, 3, ("center",)), grip.times[2] + 0.01)


@pytest.mark.parametrize("late", [False, True])
def test_errors_of_a_sensor_come_through_and_harm_nothing(grip, late):
    """Whatever they are: the tracker is where it was before the step."""

    class Broken(RangeFinder):
        def measure(self, observation, believed):
            if observation.extra:
                raise ZeroDivisionError("broken")
            return []

    tracker = warpprior.Tracker(
        grip.camera, grip.bodies, observe="center", sensors=[Broken("block", 1.0)], device="cpu"
    )
    for frame in range(4):
        tracker.step(observe_frame(grip, frame, ("center",)), grip.times[frame])
    before = tracker.save()
    with pytest.raises(ZeroDivisionError, match="broken"):
        tracker.step(warpprior.Observation(extra={"range": 1.0}), grip.times[2] + 0.01 if late else grip.times[4])
    for name, values in tracker.save().items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "measure returned NoneType; measurements"),
        (warpprior.Measurement("block", [0.0], np.zeros((1, 6)), sigma=1.0), "measure returned Measurement"),
        ([("block", [0.0])], "a tuple; a warpprior.Measurement"),
    ],
    ids=["nothing", "one", "tuples"],
)
def test_what_is_no_measurement_is_refused(grip, returned, words):
    """With the sensor's name."""

    class Hasty(RangeFinder):
        def measure(self, observation, believed):
            return returned

    tracker = warpprior.Tracker(grip, observe="center", sensors=[Hasty("block", 1.0)], device="cpu")
    with pytest.raises(warpprior.InputError, match=words):
        tracker.step(observe_frame(grip, 0, ("center",)), grip.times[0])


@pytest.mark.parametrize(
    ("sensors", "words"),
    [
        ([RangeFinder], "a type; instances of warpprior.Sensor"),
        ([RangeFinder("block", 1.0), RangeFinder("block", 1.0)], "the name 'range'"),
        ([type("Nameless", (RangeFinder,), {"name": ""})("block", 1.0)], "the name ''"),
        ([type("Taken", (RangeFinder,), {"name": "mask"})("block", 1.0)], "the name 'mask' of a Taken"),
    ],
    ids=["class", "twice", "no name", "taken"],
)
def test_sensors_that_are_none_are_refused(grip, sensors, words):
    """When the tracker is made."""
    with pytest.raises(warpprior.InputError, match=words):
        warpprior.Tracker(grip, observe="center", sensors=sensors, device="cpu")


def test_every_sensor_of_the_package_is_in_its_table_and_in_the_docs():
    """Files of sensors are imported, each sensor has a channel, and the page on tracking lists all of them."""
    files = {path.stem for path in Path(sensors.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert files == {sensor.__module__.rpartition(".")[2] for sensor in SENSORS.values()}
    assert {sensor.channel for sensor in SENSORS.values()} == set(CHANNELS) - {"poses"}
    page = (Path(__file__).resolve().parents[1] / "docs" / "tracking.md").read_text(encoding="utf-8")
    table = page[page.index("| sensor | of | channel") : page.index("**Moments**")]
    for name, sensor in SENSORS.items():
        (row,) = (row for row in table.splitlines()[2:] if row.count("|") > 2 and f"`{name}`" in row.split("|")[1])
        assert f"| `{sensor.channel}` |" in row and ("hands" in row) == (sensor.sees == "hands")
