"""From our units and time codes to those of another stage: lengths, masses, and frames as time codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pxr import Sdf

# Powers of a length and of a mass in the unit of each attribute that has any; all others have none, or are ours and
# stay in SI units, as they are described.
POWERS = {
    **dict.fromkeys(("points", "extent", "widths", "xformOp:translate", "xformOp:transform"), (1, 0)),
    **dict.fromkeys(("focalLength", "horizontalAperture", "verticalAperture", "clippingRange"), (1, 0)),
    **dict.fromkeys(("horizontalApertureOffset", "verticalApertureOffset", "focusDistance"), (1, 0)),
    **dict.fromkeys(("primvars:skel:geomBindTransform", "bindTransforms", "restTransforms"), (1, 0)),
    **dict.fromkeys(("translations", "offsets"), (1, 0)),
    **dict.fromkeys(("physics:localPos0", "physics:localPos1", "physics:centerOfMass"), (1, 0)),
    **dict.fromkeys(("physics:minDistance", "physics:maxDistance"), (1, 0)),
    **dict.fromkeys(("state:linear:physics:position", "state:linear:physics:velocity"), (1, 0)),
    **dict.fromkeys(("drive:linear:physics:targetPosition", "drive:linear:physics:targetVelocity"), (1, 0)),
    **dict.fromkeys(("physics:mass", "drive:linear:physics:stiffness", "drive:linear:physics:damping"), (0, 1)),
    **dict.fromkeys(("drive:angular:physics:stiffness", "drive:angular:physics:damping"), (2, 1)),
    "drive:linear:physics:maxForce": (1, 1),
    "drive:angular:physics:maxForce": (2, 1),
    **dict.fromkeys(("newton:damping", "newton:friction"), (2, 1)),
    **dict.fromkeys(("newton:velocityLimit", "physxJoint:maxJointVelocity"), (0, 0)),
    "physics:diagonalInertia": (2, 1),
    "physics:density": (-3, 1),
}
# Likewise of joints that slide; those that turn have angles and torques.
OF_SLIDES: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("physics:lowerLimit", "physics:upperLimit", "newton:mimicCoef0"), (1, 0)),
    **dict.fromkeys(("newton:velocityLimit", "physxJoint:maxJointVelocity"), (1, 0)),
    "newton:damping": (0, 1),
    "newton:friction": (1, 1),
}


@dataclass(frozen=True)
class Conversion:
    """From metres, kilograms and frames to what another stage has.

    Attributes:
        per_metre: units of length in a metre.
        per_kilogram: units of mass in a kilogram.
        start: time code of frame 0.
        per_frame: time codes from one frame to the next.
    """

    per_metre: float = 1.0
    per_kilogram: float = 1.0
    start: float = 0.0
    per_frame: float = 1.0

    @property
    def changes_units(self) -> bool:
        return self.per_metre != 1.0 or self.per_kilogram != 1.0

    @property
    def changes_times(self) -> bool:
        return self.start != 0.0 or self.per_frame != 1.0

    def code(self, frame: float) -> float:
        """The time code of a frame."""
        return self.start + self.per_frame * frame

    def factor(self, name: str, *, slides: bool = False) -> float:
        """What an attribute of that name is multiplied by."""
        length, mass = (OF_SLIDES.get(name) if slides else None) or POWERS.get(name, (0, 0))
        return self.per_metre**length * self.per_kilogram**mass


def convert(layer: Sdf.Layer, conversion: Conversion) -> None:
    """Change all attributes of a layer, defaults and samples alike."""
    from pxr import Sdf

    if not (conversion.changes_units or conversion.changes_times):
        return

    def visit(path: Sdf.Path) -> None:
        spec = layer.GetAttributeAtPath(path) if path.IsPropertyPath() else None
        if spec is not None:
            slides = spec.owner.typeName == "PhysicsPrismaticJoint"
            _convert_attribute(layer, spec, conversion, conversion.factor(spec.name, slides=slides))

    with Sdf.ChangeBlock():
        layer.Traverse("/", visit)


def _convert_attribute(layer: Sdf.Layer, spec: Sdf.AttributeSpec, conversion: Conversion, factor: float) -> None:
    if factor != 1.0 and spec.HasDefaultValue():
        spec.default = scaled(spec.default, factor)
    times = layer.ListTimeSamplesForPath(spec.path)
    if not times or (factor == 1.0 and not conversion.changes_times):
        return
    samples = [(time, layer.QueryTimeSample(spec.path, time)) for time in times]
    spec.ClearInfo("timeSamples")
    for time, value in samples:
        layer.SetTimeSample(spec.path, conversion.code(time), scaled(value, factor) if factor != 1.0 else value)


def scaled(value: Any, factor: float) -> Any:
    """A number, vector, matrix or array of them times a factor; of transforms, the place alone."""
    from pxr import Gf

    if isinstance(value, Gf.Matrix4d):
        return Gf.Matrix4d(value).SetTranslateOnly(value.ExtractTranslation() * factor)
    if not hasattr(value, "FromNumpy"):
        return value * factor
    array = np.array(value)
    if array.ndim == 3:  # matrices, whose last row is the place
        array[:, 3, :3] *= factor
        return type(value).FromNumpy(array)
    return type(value).FromNumpy((array * factor).astype(array.dtype))
