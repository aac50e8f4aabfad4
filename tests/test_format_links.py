"""Data sets whose files lead out of them through links: nothing outside is read, whichever file it is."""

from __future__ import annotations

import shutil

import pytest

from tests.format_files import arctic, bop, contactpose, dexycb, hocap, hot3d, network_hands, taco, v2d, xr_hands
from tests.format_files import ho3d as ho3d_files
from tests.format_files.samples import write_mano
from warpprior.formats import read
from warpprior.support.errors import InputError


def write_arctic(root):
    """Both cameras, hands, and the splits."""
    return arctic.write_sequence(root)[0], [{"view": 0}, {"view": 3}]


def write_taco(root):
    """The worn camera, and one that stands."""
    return taco.write_sequence(root)[0], [{}, {"camera": "22070938"}]


def write_hocap(root):
    """A camera that stands, and the worn one."""
    return hocap.write_sequence(root)[0], [{}, {"camera": hocap.WORN}]


def write_egodex(root):
    """An episode and its video."""
    xr_hands.write_egodex(root / "7.hdf5")
    return root / "7.hdf5", [{}]


def write_hot3d(root):
    """A recording near its library."""
    hot3d.write_recording(root / "P1")
    return root / "P1", [{}]


def write_v2d(root):
    """The bundle of a run."""
    v2d.write_run(root, ("result",))
    return root / "outputs/result", [{}]


def write_hawor(root):
    """A folder of one video."""
    models = write_mano(root / "mano")
    network_hands.write_hawor(root / "video", models)
    return root / "video", [{}]


def write_dynhamr(root):
    """A run."""
    network_hands.write_dynhamr(root / "run", write_mano(root / "mano"))
    return root / "run", [{}]


WRITERS = {
    "arctic": write_arctic,
    "contactpose": lambda root: (contactpose.write_grasp(root)[0], [{}]),
    "taco": write_taco,
    "hocap": write_hocap,
    "egodex": write_egodex,
    "dexycb": lambda root: (dexycb.write_sequence(root)[0], [{}]),
    "ho3d": lambda root: (ho3d_files.write_sequence(root)[0], [{}]),
    "bop": lambda root: (bop.write_scene(root), [{}]),
    "v2d": write_v2d,
    "hot3d": write_hot3d,
    "hawor": write_hawor,
    "dyn_hamr": write_dynhamr,
}


FEWEST = {"egodex": 1, "dyn_hamr": 2, "hawor": 4}
"""Files that are read beside the one that is named; of others there are five at least."""


def look(source, name, options, models):
    """Read everything there is: pictures are opened when they are asked for."""
    takes_mano = name not in ("bop", "egodex", "hot3d")
    recording = read(source, name, **options, **({"mano": models} if takes_mano else {}))
    scene = recording.scene
    for frame in range(scene.frame_count):
        for picture in (scene.read_rgb, scene.read_depth):
            if picture is not None:
                picture(frame)


def some_files(root):
    """One file of each folder and ending: those of one kind are read alike."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and "mano" not in path.relative_to(root).parts[:1]:
            found.setdefault((path.parent, path.suffix, path.stem.rstrip("0123456789")), path)
    return list(found.values())


@pytest.mark.parametrize("name", WRITERS)
def test_files_that_lead_out_are_refused(name, tmp_path):
    """One by one: a file that is read is refused where it is a link out of the data set; others do not matter."""
    root, elsewhere = tmp_path / "set", tmp_path / "elsewhere"
    elsewhere.mkdir()
    source, ways = WRITERS[name](root)
    models = tmp_path / "mano"
    if (root / "mano").is_dir():
        shutil.move(root / "mano", models)
    for options in ways:
        look(source, name, options, models)
    refused = []
    for path in some_files(root):
        if path == source:
            continue
        outside = elsewhere / path.name
        shutil.move(path, outside)
        path.symlink_to(outside)
        said = []
        for options in ways:
            try:
                look(source, name, options, models)
            except InputError as error:
                said.append(str(error))
        path.unlink()
        if said:
            assert all("leads out of its folder through a link" in each for each in said), (path, said)
            refused.append(path)
        else:  # then it is not read at all
            path.write_bytes(b"\0nothing that could be read")
            for options in ways:
                try:
                    look(source, name, options, models)
                except Exception as error:
                    raise AssertionError(f"{path} was read through a link: {error}") from error
            path.unlink()
        shutil.move(outside, path)
    assert len(refused) >= FEWEST.get(name, 5)


def test_linked_folders_of_models_are_said(tmp_path):
    """Several data sets share one: it is read, and a note has where it is; linked folders of pictures are refused."""
    sequence, _ = ho3d_files.write_sequence(tmp_path / "set")
    shutil.move(tmp_path / "set/models", tmp_path / "ycb")
    (tmp_path / "set/models").symlink_to(tmp_path / "ycb")
    said = read(sequence, "ho3d", without_hands=True).notes
    assert f"models are those of {tmp_path / 'ycb'}: models is a link" in said
    shutil.move(sequence / "rgb", tmp_path / "rgb")
    (sequence / "rgb").symlink_to(tmp_path / "rgb")
    with pytest.raises(InputError, match="rgb: leads out of its folder through a link"):
        read(sequence, "ho3d", without_hands=True)
