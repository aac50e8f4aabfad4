"""All that is taken from a stage, as arrays and plain values, so that it can come from another process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.bodies.readers.usd_layers import ACCEPTED, check_prims
from warpprior.bodies.readers.usd_prims import is_carried, metres_per_unit
from warpprior.support.errors import InputError
from warpprior.usd.about import ABOUT, SYMMETRY, TREE, TREE_ARRAYS, TREE_NAMES
from warpprior.usd.reading.articulations import plain_name, read_joints
from warpprior.usd.reading.clock import between_samples, frame_codes, said_gaps, samples_of
from warpprior.usd.reading.find import FoundBody, find_bodies
from warpprior.usd.reading.lenses import find_camera, gravity_of, read_camera
from warpprior.usd.reading.matter import read_matter
from warpprior.usd.reading.opening import each_prim, open_stage
from warpprior.usd.reading.places import StageFrames, carrying_attributes
from warpprior.usd.reading.shapes import Shape, find_colliders, find_shapes, read_shapes
from warpprior.usd.reading.skeletons import read_skeleton, skinned_meshes

if TYPE_CHECKING:
    from pxr import Usd

Arrays = dict[str, np.ndarray]
_MOST_SAMPLED = 4096  # attributes that are asked for the time codes of their samples
_MOST_FRAMES_OF_JOINTS = 512
OWN = "warpprior"  # key of a stage's customLayerData


def read_file(path: str, where: str, **asked: Any) -> tuple[Arrays, dict[str, Any]]:
    """What :func:`extract` finds in a file; in a process with limits."""
    from pxr import Tf

    try:
        return extract(open_stage(path, where), where, limited=True, **asked)
    except Tf.ErrorException as error:
        raise InputError(where, f"cannot be read ({reason_of(error)})", ACCEPTED) from error


def extract_open(stage: Usd.Stage, where: str, asked: dict[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    """What :func:`extract` finds in a stage that is open."""
    from pxr import Tf, Usd

    if not isinstance(stage, Usd.Stage):
        raise InputError("stage", f"a {type(stage).__name__}", "a path, or a Usd.Stage")
    try:
        return extract(stage, where, **asked)
    except Tf.ErrorException as error:
        raise InputError(where, f"cannot be read ({reason_of(error)})", ACCEPTED) from error


def reason_of(error: Exception) -> str:
    """The reason in an error of OpenUSD, whose text is a list of places in its sources, each with one."""
    reasons = re.findall(r" : '(.*)'", str(error)) or ["it is damaged"]
    return " ".join(reasons[0].split())[:160]


def extract(
    stage: Usd.Stage,
    where: str,
    *,
    bodies: dict[str, str | None] | None = None,
    camera: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    frame_count: int | None = None,
    limited: bool = False,
) -> tuple[Arrays, dict[str, Any]]:
    """Camera, bodies and their motion.

    Args:
        stage: the stage.
        where: names it in messages.
        bodies: forms by path (:data:`warpprior.usd.reading.find.FORMS`), None where that is to be found; None guesses.
        camera: path of the camera; None: the only one, or none.
        size: of pictures, width and height [px].
        fps: frames per second; None: the stage's.
        frame_count: None: the stage's.
        limited: the process has limits.

    Raises:
        InputError: what is named is not there or cannot be used.
    """
    if not limited:
        check_prims(stage, where)
    unit = metres_per_unit(stage, where)
    source = StageFrames(stage, where, np.zeros(1), unit, limited)
    if not stage.HasAuthoredMetadata("metersPerUnit"):
        source.notes.append(f"its unit of length is not said; {unit:g} metres per unit are taken, as USD has it")
    eye = find_camera(stage, where, camera)
    sampled = samples_of(_sampled_attributes(stage))
    source.codes, rate = frame_codes(stage, where, sampled, fps, frame_count, source.notes)
    told: dict[str, Any] = {"fps": rate, "count": len(source.codes), "gravity": gravity_of(stage), "camera": None}
    told["unit"] = unit
    own = stage.GetRootLayer().customLayerData.get(OWN)
    told["own"] = isinstance(own, dict)
    name = own.get("scene") if isinstance(own, dict) else None
    told["name"] = name if isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() else None
    arrays: Arrays = {}
    if eye is not None:
        told["camera"] = read_camera(source, eye, size)
        (arrays["camera"],) = source.place([eye])
    told["bodies"], several = [], bodies is None
    found = find_bodies(source, bodies)
    names = _unique(_told_apart([body.prim for body in found]))
    for number, (body, name) in enumerate(zip(found, names, strict=True)):
        notes: list[str] = []
        try:
            parts, said = _body(source, body, notes)
        except InputError as error:
            if not several:
                raise
            source.notes.append(f"{body.prim.GetPath()} was left out: {error.found}")
            continue
        key = f"body{number}"
        said |= {"path": str(body.prim.GetPath()), "name": name, "key": key, "form": body.form}
        said["matter"], said["about"], said["symmetry"] = _about(source, body)
        said["notes"] = list(dict.fromkeys(notes))
        gaps = between_samples(source.codes, samples_of(_attributes_of(body)))
        if gaps.any():
            parts["gaps"] = gaps
            said["notes"] += said_gaps("its motion", gaps)
        arrays |= {f"{key}/{part}": values for part, values in parts.items()}
        told["bodies"].append(said)
    if not told["bodies"]:
        raise InputError(where, f"none of its bodies can be used: {source.notes[-1]}", ACCEPTED)
    told["notes"] = list(dict.fromkeys(source.notes))
    return arrays, told


def _told_apart(prims: list[Usd.Prim]) -> list[str]:
    """Names of prims; those of which several are called alike get the names of prims above them, too."""
    names = [plain_name(prim) for prim in prims]
    found = []
    for name, prim in zip(names, prims, strict=True):
        above = prim.GetParent()
        while names.count(name) > 1 and above and not above.IsPseudoRoot():
            name, above = f"{plain_name(above)}_{name}", above.GetParent()
            if name not in names:
                break
        found.append(name)
    return found


def _unique(names: list[str]) -> list[str]:
    """Names that can be keys, no two alike."""
    found: list[str] = []
    for name in names:
        name = re.sub(r"[/\\:\x00-\x1f\x7f]", "_", name)[:100].strip() or "body"
        stem, number = name, 2
        while name in found:
            name, number = f"{stem}_{number}", number + 1
        found.append(name)
    return found


def _sampled_attributes(stage: Usd.Stage) -> list[Usd.Attribute]:
    """What moves in a stage: transforms, points, instances and animations of skeletons."""
    from pxr import UsdGeom, UsdSkel

    found: list[Usd.Attribute] = []
    for prim in each_prim(stage.GetPseudoRoot()):
        if prim.IsA(UsdGeom.Xformable):
            found += [operation.GetAttr() for operation in UsdGeom.Xformable(prim).GetOrderedXformOps()]
        if prim.IsA(UsdGeom.Mesh):
            found.append(UsdGeom.Mesh(prim).GetPointsAttr())
        if prim.IsA(UsdGeom.PointInstancer) or prim.IsA(UsdSkel.Animation):
            found += prim.GetAttributes()
        if len(found) > _MOST_SAMPLED:
            break
    return found


def _attributes_of(body: FoundBody) -> list[Usd.Attribute]:
    """What moves a body."""
    from pxr import UsdGeom, UsdSkel

    found = carrying_attributes(body.prim)
    for prim in each_prim(body.prim):
        if prim.IsA(UsdGeom.Xformable):
            found += [operation.GetAttr() for operation in UsdGeom.Xformable(prim).GetOrderedXformOps()]
        if prim.IsA(UsdGeom.Mesh):
            found.append(UsdGeom.Mesh(prim).GetPointsAttr())
        if prim.IsA(UsdSkel.Animation):
            found += prim.GetAttributes()
        if len(found) > _MOST_SAMPLED:
            break
    return found


def _body(source: StageFrames, body: FoundBody, notes: list[str]) -> tuple[Arrays, dict[str, Any]]:
    if body.form == "skin" or (body.form == "vertices" and skinned_meshes(body.prim)):
        return read_skeleton(source, body.prim, notes)
    if body.form == "urdf":
        return _robot(source, body, notes)
    prims = [] if body.form == "frames" else find_shapes(source, body.prim)
    if not prims and body.form != "frames":
        prims = find_colliders(source, body.prim)
        if not prims:
            raise InputError(f"{source.where}: {body.prim.GetPath()}", "has no surface", "a prim with meshes")
        notes.append("it has no surface to be seen; its colliders are taken")
    shapes = read_shapes(source, prims, notes)
    if not shapes and body.form != "frames":
        raise InputError(f"{source.where}: {body.prim.GetPath()}", "has no faces", "a prim with meshes")
    (own,) = source.place([body.prim])
    arrays = _packed(shapes) | {"own": own}
    said: dict[str, Any] = {"shapes": len(shapes), "frames": []}
    if body.form != "mesh":
        joints = _all_frames(body.prim) if body.form == "frames" else _joint_frames(body.prim, prims)
        for row, matrices in enumerate(source.place(joints)):
            arrays[f"frame{row}"] = matrices
        said["frames"] = [plain_name(prim) for prim in joints]
    return arrays, said


def _packed(shapes: list[Shape], stem: str = "") -> Arrays:
    """Arrays of surfaces by their number."""
    arrays: Arrays = {}
    for row, shape in enumerate(shapes):
        arrays[f"{stem}points{row}"], arrays[f"{stem}faces{row}"] = shape.points, shape.faces
        arrays[f"{stem}placed{row}"] = shape.placed
        if shape.colors is not None:
            arrays[f"{stem}colors{row}"] = shape.colors
    return arrays


def _joint_frames(root: Usd.Prim, shapes: list[Usd.Prim]) -> list[Usd.Prim]:
    """Frames below a prim that carry no surface that is shown: joints of what bends."""
    from pxr import UsdGeom

    above = {str(path) for prim in shapes for path in prim.GetPath().GetPrefixes()}
    found = [
        prim
        for prim in each_prim(root)
        if prim.GetTypeName() == "Xform" and str(prim.GetPath()) not in above and is_carried(prim)
    ]
    shown = [prim for prim in found if UsdGeom.Imageable(prim).ComputePurpose() != UsdGeom.Tokens.guide]
    return shown[:_MOST_FRAMES_OF_JOINTS]


def _all_frames(root: Usd.Prim) -> list[Usd.Prim]:
    """Every frame below a prim, whatever it carries."""
    from pxr import UsdGeom

    found = [prim for prim in each_prim(root) if prim.IsA(UsdGeom.Xformable) and prim != root]
    shown = [prim for prim in found if UsdGeom.Imageable(prim).ComputePurpose() != UsdGeom.Tokens.guide]
    return shown[:_MOST_FRAMES_OF_JOINTS]


def _robot(source: StageFrames, body: FoundBody, notes: list[str]) -> tuple[Arrays, dict[str, Any]]:
    """Links with their surfaces, and joints or the tree that our own stages say."""
    tree = body.prim.GetCustomDataByKey(TREE)
    said: dict[str, Any] = {"tree": None, "joints": [], "root": ""}
    if tree:
        said["tree"] = _plain_tree(source, body, tree)
        children = {plain_name(prim): prim for prim in body.prim.GetChildren()}
        missing = [name for name in said["tree"]["link_names"] if name not in children]
        if missing:
            raise InputError(f"{source.where}: {body.prim.GetPath()}", f"has no link {missing[0]!r}", "all its links")
        links = [children[name] for name in said["tree"]["link_names"]]
    else:
        links = [source.stage.GetPrimAtPath(path) for path in body.links]
        said["joints"], said["root"] = read_joints(source, list(body.links), notes)
    paths = [str(prim.GetPath()) for prim in links]
    arrays: Arrays = {}
    counts, hidden = [], 0
    for row, (prim, matrices) in enumerate(zip(links, source.place(links), strict=True)):
        arrays[f"link{row}"] = matrices
        without = [path for path in paths if path != paths[row] and path.startswith(f"{paths[row]}/")]
        prims = find_shapes(source, prim, without)
        if not prims:
            prims = [one for one in find_colliders(source, prim) if not _below_any(one, without)]
            hidden += bool(prims)
        shapes = read_shapes(source, prims, notes)
        arrays |= _packed(shapes, f"link{row}/")
        counts.append(len(shapes))
    if hidden and not any(find_shapes(source, prim) for prim in links):
        notes.append("its links have no surfaces to be seen; their colliders are taken")
    elif hidden and not tree:
        notes.append(f"{hidden} links have no surface to be seen; their colliders are taken")
    said |= {"links": _unique([plain_name(prim) for prim in links]), "paths": paths, "counts": counts}
    return arrays, said


def _below_any(prim: Usd.Prim, paths: list[str]) -> bool:
    own = str(prim.GetPath())
    return any(own == path or own.startswith(f"{path}/") for path in paths)


def _plain_tree(source: StageFrames, body: FoundBody, tree: Any) -> dict[str, Any]:
    """The tree of a robot as plain lists.

    Raises:
        InputError: it is not one.
    """
    where = f"{source.where}: {body.prim.GetPath()}"
    try:
        found: dict[str, Any] = {name: [str(word) for word in tree[name]] for name in TREE_NAMES}
        return found | {name: np.asarray(tree[name], dtype=np.float64).reshape(-1).tolist() for name in TREE_ARRAYS}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(where, f"says a tree of links that is damaged ({error})", ACCEPTED) from None


def _about(source: StageFrames, body: FoundBody) -> tuple[dict[str, float], dict[str, Any], str]:
    """What it is made of, what our own stages say besides, and its symmetry."""
    from pxr import UsdPhysics

    roots = [source.stage.GetPrimAtPath(path) for path in body.links] or [body.prim]
    # Links may be below each other.
    prims = list({str(prim.GetPath()): prim for root in roots for prim in each_prim(root)}.values())
    weighed = [prim for prim in prims if prim.HasAPI(UsdPhysics.MassAPI) or prim.HasAPI(UsdPhysics.CollisionAPI)]
    about = body.prim.GetCustomDataByKey(ABOUT)
    told = {}
    if isinstance(about, dict):
        told = {str(key): value for key, value in about.items() if isinstance(value, (str, bool, int, float))}
    symmetry = body.prim.GetCustomDataByKey(SYMMETRY)
    return read_matter(source.stage, weighed, source.unit), told, symmetry if isinstance(symmetry, str) else "none"
