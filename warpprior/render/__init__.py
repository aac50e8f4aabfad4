"""Pictures of posed bodies: labels, depth, normals, colours, and antialiased silhouettes, which are differentiable.

All return Warp arrays on the device of the poses, or on the CPU.  Silhouettes and depth are recorded on the tape that
is recording::

    with wp.Tape() as tape:
        surface = warpprior.geometry.skin(body, position, rotation, joints)
        image = warpprior.render.silhouette(scene, {body.name: surface})
"""

from warpprior.render.views import colors, depth, labels, normals, silhouette

__all__ = ["colors", "depth", "labels", "normals", "silhouette"]
