"""Memory: sequences drawn part by part come out the same, and what is held fits what there is."""

import numpy as np
import pytest
import warp as wp

from warpprior import simulate
from warpprior.kernels.contour import Borders
from warpprior.refinement.memory import Needs, plan_holding
from warpprior.refinement.run import refine
from warpprior.render.parts import equal_parts, one_part
from warpprior.scene import Camera
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError, RunError
from warpprior.support.memory import free_bytes, held_bytes, read_size, write_size
from warpprior.support.stored import forget, is_stored, stored_zeros
from warpprior.system.border_distances import BorderDistances, distance_crops
from warpprior.system.holding import Holding
from warpprior.system.label_fields import contour_fields, label_boxes

CAMERA = Camera(160, 120, 154.0, 154.0, 80.0, 60.0)
MIB = 2**20


@pytest.mark.parametrize("name", ["grasp_lift", "robot_lift"])
def test_parts_give_the_same_bits(name, monkeypatch):
    """Five frames at once, and two at a time with distances in a file and known bodies drawn anew."""
    scene = simulate(name, frame_count=5, seed=3, camera=CAMERA)
    found = []
    for holding in (Holding(), Holding(equal_parts(5, 2), backdrop=False, distances=False)):
        plan = lambda *given, holding=holding, **options: (holding, None)  # noqa: E731
        monkeypatch.setattr("warpprior.refinement.preparing.plan_holding", plan)
        result = refine(scene, RefineSettings(iterations=2), device="cpu", check_first=False)
        found.append(result)
    for body, poses in found[0].poses.items():
        other = found[1].poses[body]
        for part in ("position", "rotation", "joints", "covariance"):
            np.testing.assert_array_equal(getattr(poses, part), getattr(other, part), err_msg=f"{body} {part}")
    for term, costs in found[0].history.items():
        np.testing.assert_array_equal(costs, found[1].history[term], err_msg=term)


def test_parts_hold_each_frame_once():
    """They follow each other, differ by a frame at most, and cut arrays where they say."""
    parts = equal_parts(11, 4)
    assert [frame for part in parts for frame in range(part.start, part.stop)] == list(range(11))
    assert {part.count for part in parts} == {3, 4} and not any(part.whole for part in parts)
    array = wp.array(np.arange(22.0).reshape(11, 2), dtype=float, device="cpu")
    np.testing.assert_array_equal(parts[1].of(array).numpy(), array.numpy()[parts[1].frames])
    assert parts[1].of(array) is parts[1].of(array)
    assert parts[1].of(wp.zeros((11, 0), dtype=float, device="cpu")).shape == (parts[1].count, 0)
    (whole,) = one_part(11)
    assert whole.of(array) is array


NEEDS = Needs(held=100 * MIB, frame=MIB, drawn=10 * MIB, backdrop=100 * MIB, distances=100 * MIB, frame_count=100)


@pytest.mark.parametrize(
    ("budget", "most", "backdrop", "distances"),
    [
        (10_000, 8, True, True),
        (445, 4, True, True),
        (360, 4, False, True),
        (250, 4, False, False),
        (215, 1, False, False),
    ],
)
def test_less_is_held_where_there_is_less(budget, most, backdrop, distances, monkeypatch):
    """Fewer frames at a time first, then known bodies drawn anew, then distances in a file; it stays within."""
    monkeypatch.setenv("WARPPRIOR_THREADS", "1")
    monkeypatch.setattr("warpprior.refinement.memory.DRAWN_BYTES", 32 * MIB)
    holding, said = plan_holding(NEEDS, budget * MIB, wp.get_device("cpu"), whole=False)
    assert holding.parts is not None
    count = max(part.count for part in holding.parts)
    assert (holding.backdrop, holding.distances) == (backdrop, distances) and count <= most
    assert NEEDS.total(count, backdrop=backdrop, distances=distances) <= budget * MIB
    assert (said is None) == (budget > 440)


@pytest.mark.parametrize("whole", [False, True])
def test_what_does_not_fit_is_refused(whole):
    """One line says how much it would be; without a stated budget it is tried."""
    with pytest.raises(InputError, match=r"--memory.*MiB|GiB.* are needed for 100 frames"):
        plan_holding(NEEDS, 150 * MIB, wp.get_device("cpu"), whole=whole)
    holding, _ = plan_holding(NEEDS, None, wp.get_device("cpu"), whole=True)
    assert holding.parts is None


@pytest.mark.parametrize(("text", "count"), [("4GiB", 2**32), ("500 MB", 500_000_000), ("1.5g", 1_500_000_000), (7, 7)])
def test_sizes_are_read(text, count):
    """As people write them."""
    assert read_size(text) == count


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "0", "4GiBs", "1e9"])
def test_other_sizes_are_refused(text):
    """With what would do."""
    with pytest.raises(InputError, match="4GiB"):
        read_size(text)


def test_the_system_tells():
    """What a process has is less than what there is, and both have a word for people."""
    assert held_bytes() == 0 or held_bytes() > 10 * MIB
    free = free_bytes()
    assert free is None or free > MIB
    assert write_size(3 * 2**30) == "3.0 GiB" and write_size(5 * MIB) == "5 MiB"


def test_distances_are_those_of_the_whole_picture():
    """In memory and in a file, in crops that hold the label: to half of a unit in the last place of half floats."""
    random = np.random.default_rng(2)
    labels = np.zeros((5, 60, 90), dtype=np.uint8)
    for frame in range(4):  # the last shows nothing
        row, column = random.integers(5, 30, size=2)
        labels[frame, row : row + 20, column : column + 25] = 1
        labels[frame, row : row + 9, column + 18 : column + 40] = 2
    crops = distance_crops(label_boxes(labels, 1), 90, 60, 0.1)
    assert (crops[:4, 2] < 90).any() and (crops[4, 2:] == 2).all()
    parts = equal_parts(5, 2)
    exact = contour_fields(labels, 1, 0.3)
    for kept in (None, parts):
        distances = BorderDistances(labels, 1, crops, 0.3, "cpu", parts=kept)
        for part in parts:
            borders = Borders()
            distances.look(borders, part)
            starts, pictures = borders.starts.numpy(), borders.pictures.numpy()
            for place, frame in enumerate(range(part.start, min(part.stop, 4))):
                column, row, width, height = crops[frame]
                np.testing.assert_array_equal(borders.crops.numpy()[place], crops[frame])
                found = pictures[2 * starts[place] : 2 * (starts[place] + width * height)].reshape(height, width, 2)
                image = labels[frame, row : row + height, column : column + width]
                np.testing.assert_array_equal(
                    found, contour_fields(image[None], 1, 0.3)[0].transpose(1, 2, 0).astype(np.float16)
                )
                inside = image == 1
                wanted = exact[frame, :, row : row + height, column : column + width].transpose(1, 2, 0)
                np.testing.assert_allclose(found[inside], wanted[inside], rtol=2**-11)
                assert inside.sum() == (labels[frame] == 1).sum()


def test_many_frames_are_in_a_file(monkeypatch):
    """They begin with zeros, and hold what is written though their memory is given back; few may be in memory."""
    monkeypatch.setattr("warpprior.support.stored.FEW_BYTES", 100)
    array = stored_zeros((4, 50, 60), np.uint8)
    assert is_stored(array) and is_stored(array[1:]) and not array.any()
    array[2] = 7
    for part in (array, array[2], array[1:3]):
        forget(part)
        assert array.sum(dtype=int) == 7 * 50 * 60
    assert not is_stored(stored_zeros((4, 5), np.uint8)) and is_stored(stored_zeros((4, 5), np.uint8, bounded=True))


def test_without_room_for_a_file(monkeypatch):
    """What need not be in one is in memory; else it is said what to do."""

    def full(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("warpprior.support.stored.FEW_BYTES", 100)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert not is_stored(stored_zeros((4, 50, 60), np.uint8))
    with pytest.raises(RunError, match="No space left on device; make room there, set TMPDIR"):
        stored_zeros((4, 50, 60), np.uint8, bounded=True)
