"""How sure a motion is, as primvars of the body's prim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.uncertainty import bounded_covariance
from warpprior.usd.prims import set_samples

if TYPE_CHECKING:
    from pxr import Usd

SIGMA = "warpprior:position_sigma"
COVARIANCE = "warpprior:pose_covariance"


def write_uncertainty(prim: Usd.Prim, covariance: np.ndarray, world_from_camera: np.ndarray) -> None:
    """Write constant primvars at every frame; what is not observable gets the limits of :mod:`warpprior.uncertainty`.

    ``primvars:warpprior:position_sigma``: standard deviations of the position of the body's origin, along the axes of
    the world [m].  ``primvars:warpprior:pose_covariance``: 36 numbers, rows of the covariance of position [m] and
    rotation vector [rad], both along the axes of the world.

    Args:
        prim: of the body.
        covariance: of its pose's error, camera axes (frame, d, d), d at least 6.
        world_from_camera: position [m] then quaternion xyzw (7,), or (frame, 7) where the camera moves.
    """
    from pxr import Sdf, UsdGeom, Vt

    turn = np.kron(np.eye(2), Rotation.from_quat(world_from_camera[..., 3:]).as_matrix())
    turned = turn @ bounded_covariance(covariance)[:, :6, :6] @ np.swapaxes(turn, -1, -2)
    sigma = np.sqrt(turned.diagonal(axis1=1, axis2=2)[:, :3]).astype(np.float32)
    api, constant = UsdGeom.PrimvarsAPI(prim), UsdGeom.Tokens.constant
    sigmas = api.CreatePrimvar(SIGMA, Sdf.ValueTypeNames.Float3Array, constant)
    matrices = api.CreatePrimvar(COVARIANCE, Sdf.ValueTypeNames.FloatArray, constant, 36)
    set_samples(sigmas.GetAttr(), [Vt.Vec3fArray.FromNumpy(one[None]) for one in sigma])
    set_samples(matrices.GetAttr(), [Vt.FloatArray.FromNumpy(matrix.ravel()) for matrix in turned.astype(np.float32)])
