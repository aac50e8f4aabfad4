"""Surfaces in space: skinning, signed distance, closest points, samples, and how contacts carry an object.

The functions take NumPy arrays and return NumPy arrays; or they take Warp arrays, launch everything on the arrays'
device and its current stream, and are recorded on the tape that is recording::

    with wp.Tape() as tape:
        surface = geometry.skin(body, position, rotation, joints)
        found = geometry.signed_distance(mug, surface, mug_poses)
"""

from warpprior.geometry.posed import join_poses, skin, surface_points
from warpprior.geometry.queries import ClosestPoints, Distances, closest_points, signed_distance
from warpprior.geometry.sampling import sample_surface
from warpprior.geometry.transfer import Transferred, transfer

__all__ = [
    "ClosestPoints",
    "Distances",
    "Transferred",
    "closest_points",
    "join_poses",
    "sample_surface",
    "signed_distance",
    "skin",
    "surface_points",
    "transfer",
]
