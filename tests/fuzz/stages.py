"""A small stage with a body of every form, as text and packed, for what changes a file's bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

_TEXT = """#usda 1.0
(
    metersPerUnit = 1
    upAxis = "Y"
    timeCodesPerSecond = 30
    startTimeCode = 0
    endTimeCode = 2
)
def Camera "Eye" {
    float focalLength = 0.3
    float horizontalAperture = 0.2
    float verticalAperture = 0.15
    matrix4d xformOp:transform = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0.1, 1, 1))
    uniform token[] xformOpOrder = ["xformOp:transform"]
}
def Xform "mug" (
    kind = "component"
    prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"] ) {
    float physics:mass = 0.3
    double3 xformOp:translate.timeSamples = { 0: (0, 0, 0), 2: (0.1, 0, 0) }
    quatf xformOp:orient = (0.8, 0.6, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:orient"]
    def Mesh "shell" {
        point3f[] points = [(0, 0, 0), (0.1, 0, 0), (0, 0.1, 0), (0, 0, 0.1)]
        int[] faceVertexCounts = [3, 3, 3, 3]
        int[] faceVertexIndices = [0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3]
        color3f[] primvars:displayColor = [(0.5, 0.2, 0.1)] ( interpolation = "constant" )
        uniform token subdivisionScheme = "none"
    }
    def PointInstancer "knobs" {
        rel prototypes = </mug/knobs/knob>
        int[] protoIndices = [0, 0]
        point3f[] positions = [(0.05, 0, 0), (0, 0.05, 0)]
        def Sphere "knob" {
            double radius = 0.01
        }
    }
}
def Mesh "cloth" {
    point3f[] points.timeSamples = {
        0: [(0, 0, 0), (0.1, 0, 0), (0, 0.1, 0), (0, 0, 0.1)], 2: [(0, 0, 0), (0.2, 0, 0), (0, 0.2, 0), (0, 0, 0.2)]
    }
    int[] faceVertexCounts = [3, 3, 3, 3]
    int[] faceVertexIndices = [0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3]
}
def Xform "arm" ( kind = "component" ) {
    def Cube "base" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsArticulationRootAPI"] ) {
        double size = 0.1
    }
    def Cube "near" ( prepend apiSchemas = ["PhysicsRigidBodyAPI"] ) {
        double size = 0.05
        double3 xformOp:translate = (0.1, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
    def Cube "far" ( prepend apiSchemas = ["PhysicsRigidBodyAPI"] ) {
        double size = 0.05
        double3 xformOp:translate = (0.2, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
    def PhysicsRevoluteJoint "bend" {
        uniform token physics:axis = "Z"
        rel physics:body0 = </arm/base>
        rel physics:body1 = </arm/near>
        point3f physics:localPos0 = (0.1, 0, 0)
        float physics:lowerLimit = -60
        float physics:upperLimit = 60
        float state:angular:physics:position.timeSamples = { 0: 0, 2: 20 }
    }
    def PhysicsRevoluteJoint "too" {
        uniform token physics:axis = "Z"
        rel physics:body0 = </arm/near>
        rel physics:body1 = </arm/far>
        point3f physics:localPos0 = (0.1, 0, 0)
        rel newton:mimicJoint = </arm/bend>
        float newton:mimicCoef1 = 0.5
    }
}
def SkelRoot "hand" {
    def Skeleton "rig" ( prepend apiSchemas = ["SkelBindingAPI"] ) {
        uniform token[] joints = ["wrist", "wrist/finger"]
        uniform matrix4d[] bindTransforms = [
            ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
            ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0.1, 0, 1))
        ]
        uniform matrix4d[] restTransforms = [
            ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
            ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0.1, 0, 1))
        ]
        rel skel:animationSource = </hand/rig/take>
        def SkelAnimation "take" {
            uniform token[] joints = ["wrist", "wrist/finger"]
            float3[] translations = [(0, 0, 0), (0, 0.1, 0)]
            half3[] scales = [(1, 1, 1), (1, 1, 1)]
            quatf[] rotations.timeSamples = { 0: [(1, 0, 0, 0), (1, 0, 0, 0)], 2: [(1, 0, 0, 0), (0.8, 0.6, 0, 0)] }
        }
    }
    def Mesh "skin" ( prepend apiSchemas = ["SkelBindingAPI"] ) {
        point3f[] points = [(0, 0, 0), (0.05, 0, 0), (0, 0.2, 0), (0, 0, 0.05)]
        int[] faceVertexCounts = [3, 3, 3, 3]
        int[] faceVertexIndices = [0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3]
        rel skel:skeleton = </hand/rig>
        int[] primvars:skel:jointIndices = [0, 0, 1, 0] (
            elementSize = 1
            interpolation = "vertex"
        )
        float[] primvars:skel:jointWeights = [1, 1, 1, 1] (
            elementSize = 1
            interpolation = "vertex"
        )
    }
}
"""


def write_stage(folder: Path) -> None:
    """The stage as text, as crate and packed: ``s.usda``, ``s.usdc`` and ``s.usdz``."""
    from pxr import Sdf, UsdUtils

    folder.mkdir(exist_ok=True, parents=True)
    (folder / "s.usda").write_text(_TEXT)
    layer = Sdf.Layer.FindOrOpen(str(folder / "s.usda"))
    layer.Export(str(folder / "s.usdc"))
    with tempfile.TemporaryDirectory() as place:
        packed = Path(place) / "s.usdz"
        UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(folder / "s.usdc")), str(packed))
        (folder / "s.usdz").write_bytes(packed.read_bytes())
