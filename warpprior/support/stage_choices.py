"""The words for what there is to choose of a USD stage; :class:`warpprior.usd.StageOptions` says what they mean."""

COLLIDERS = ("convex_hulls", "convex_hull", "convexDecomposition", "sdf")
ROBOTS = ("kinematic", "articulation")
HAND_RIGS = ("points", "skel")
