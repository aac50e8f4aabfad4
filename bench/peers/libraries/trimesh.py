"""trimesh: signed distance by an R-tree, positive inside; Embree, where it is installed, for what is inside."""

from __future__ import annotations

from warpprior.bench.peers.harness import Library, Work, installed
from warpprior.bench.peers.topics import DistanceData


def _version() -> str:
    installed("rtree")  # trimesh needs it, and says so only when asked
    return installed("trimesh").__version__


def _distance(data: DistanceData) -> Work:
    trimesh = installed("trimesh")
    mesh = trimesh.Trimesh(data.vertices, data.faces, process=False)
    query = trimesh.proximity.ProximityQuery(mesh)
    return Work(run=lambda: query.signed_distance(data.points), read=lambda found: -found)


LIBRARY = Library(
    name="trimesh",
    install="pip install trimesh rtree embreex",
    version=_version,
    topics={"distance": _distance},
)
