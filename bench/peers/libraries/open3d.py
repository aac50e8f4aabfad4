"""Open3D: signed distance by Embree, one thread."""

from __future__ import annotations

from warpprior.bench.peers.harness import Library, Work, installed
from warpprior.bench.peers.topics import DistanceData


def _version() -> str:
    return installed("open3d").__version__


def _distance(data: DistanceData) -> Work:
    open3d = installed("open3d")
    tensor, types = open3d.core.Tensor, open3d.core.Dtype
    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(tensor(data.vertices, types.Float32), tensor(data.faces, types.UInt32))
    points = tensor(data.points, types.Float32)
    return Work(
        run=lambda: scene.compute_signed_distance(points, nthreads=1),
        read=lambda found: found.numpy(),
    )


LIBRARY = Library(
    name="Open3D",
    install="pip install open3d; on Debian also: apt install libusb-1.0-0 libgl1 libegl1 libgomp1",
    version=_version,
    topics={"distance": _distance},
)
