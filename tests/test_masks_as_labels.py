"""Masks and picture numbers as other tools write them, in the place of label images."""

import cv2
import numpy as np
import pytest

from tests.small_scene import (
    BOX_FACES,
    BOX_VERTICES,
    FRAMES,
    HEIGHT,
    SCENE_TOML,
    WIDTH,
    edit_text,
    pose_arrays,
    write_image,
)
from tests.small_scene import write_scene as write_small_scene
from warpprior.bodies.body import rigid_body
from warpprior.io import load_scene, save_scene
from warpprior.render.images import render_masks
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError

CAMERA = Camera(WIDTH, HEIGHT, 60.0, 60.0, 32.0, 24.0)


@pytest.fixture
def alone():
    """The box of the small scene alone, with its true label images."""
    arrays = pose_arrays()
    poses = Poses(arrays["box/position"], arrays["box/rotation"], np.zeros((FRAMES, 0)))
    item = SceneBody(rigid_body("box", BOX_VERTICES, BOX_FACES), 3, False, poses, poses)
    scene = Scene("alone", CAMERA, 10.0, (item,))
    masks = render_masks(scene, {"box": poses})["box"]
    return Scene("alone", CAMERA, 10.0, (item,), labels=np.where(masks, 3, 0).astype(np.uint8))


@pytest.fixture
def folder(alone, tmp_path):
    """That scene on disk."""
    return save_scene(alone, tmp_path / "scene")


@pytest.fixture
def two(tmp_path):
    """A scene of two bodies on disk."""
    return write_small_scene(tmp_path / "two")


def write_labels(folder, images):
    """Label images in place of those that are there."""
    for frame, image in enumerate(images):
        write_image(folder / f"labels/{frame:06d}.png", image)


def softened(mask):
    """A mask resized with interpolation, as a network's probability times 255."""
    small = cv2.resize(255 * mask.astype(np.uint8), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_LINEAR)
    blurred = cv2.GaussianBlur(small, (0, 0), 1.0)
    return cv2.resize(blurred, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def refused(folder):
    """The one line the folder is refused with."""
    with pytest.raises(InputError) as caught:
        load_scene(folder)
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_black_and_white_masks_of_one_body_are_taken(alone, folder):
    """255 is the body where it is the only one, with a warning; the labels are those of the plain scene."""
    write_labels(folder, [np.where(image, 255, 0).astype(np.uint8) for image in alone.labels])
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.labels, alone.labels)
    words = "labels: hold no values but 0 and 255: 255 was taken as box, not as don't-care"
    assert [warning for warning in scene.warnings if "255" in warning] == [words]


def test_a_frame_without_its_body_changes_nothing(alone, folder):
    """What the values mean is decided for all images together; a missing image stays don't-care."""
    write_labels(folder, [np.where(image, 255, 0).astype(np.uint8) for image in alone.labels])
    write_image(folder / "labels/000001.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    (folder / "labels/000002.png").unlink()
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.labels[0], alone.labels[0])
    assert not scene.labels[1].any() and (scene.labels[2] == 255).all()


def test_dont_care_beside_the_label_is_dont_care(alone, folder):
    """A label image proper may hold 255 too."""
    images = alone.labels.copy()
    images[:, :5] = 255
    write_labels(folder, images)
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.labels, images)


def test_soft_masks_of_one_body_are_read_at_their_middle(alone, folder):
    """As JPEG is: above 127 the body; values that happen to be its label do not count."""
    images = [softened(image == 3) for image in alone.labels]
    assert any((image == 3).any() or len(np.unique(image)) > 20 for image in images)
    write_labels(folder, images)
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.labels, [np.where(image > 127, 3, 0) for image in images])
    words = "labels: are masks with soft edges, values from 0 to 255: values above 127 were taken as box"
    assert words in scene.warnings


def test_numbers_of_instances_are_no_soft_mask(alone, folder):
    """Other objects' small numbers and a bright don't-care region: labels as they stand, as before."""
    images = alone.labels.copy()
    images[:, :6, :20], images[:, 6:9, :20], images[:, 9:12, :20], images[:, 30:] = 21, 15, 7, 255
    write_labels(folder, images)
    scene = load_scene(folder)
    assert ((scene.labels == 3) == (images == 3)).all()
    assert any("values of no body (7, 15, 21" in warning for warning in scene.warnings)


def test_masks_of_several_bodies_are_refused_with_what_to_do(two):
    """Nothing says whose mask it is."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 20:40] = 255
    write_labels(two, [mask] * FRAMES)
    message = refused(two)
    assert "write one image per frame with 1 where arm is, 2 where box is" in message
    write_labels(two, [softened(mask > 0)] * FRAMES)
    message = refused(two)
    assert "are masks with soft edges, whose values are no labels" in message and "2 where box is" in message


@pytest.mark.parametrize(("one", "dtype"), [(1, np.uint8), (65535, np.uint16)])
def test_other_masks_are_refused_with_what_to_write(alone, folder, one, dtype):
    """0 and 1 where the label is 3, and 16 bits."""
    write_labels(folder, [np.where(image, one, 0).astype(dtype) for image in alone.labels])
    assert "label" in refused(folder) and "* " in refused(folder)


def test_pictures_numbered_from_one_are_noticed(alone, folder):
    """The picture beyond the last frame is named, and what is wrong with it."""
    for frame in reversed(range(FRAMES)):
        (folder / f"labels/{frame:06d}.png").rename(folder / f"labels/{frame + 1:06d}.png")
    found = [warning for warning in load_scene(folder).warnings if "labels/000003.png" in warning]
    assert len(found) == 1 and "labels/000000.png is missing" in found[0]
    assert "is beyond the last frame, 2" in found[0] and "frames are numbered from 0" in found[0]


def test_a_picture_too_many_is_said(two):
    """Colour pictures too; with the first frame there, nothing is supposed about the numbers."""
    write_image(two / "rgb/000003.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    found = [warning for warning in load_scene(two).warnings if "beyond" in warning]
    assert found == ["rgb: rgb/000003.png is beyond the last frame, 2, and was not read"]
    edit_text(two, "count = 3", "count = 2")
    assert "count = 3" in SCENE_TOML
