"""Metrics: how far a motion is from the truth, from the pictures, and from what bodies can do.

``evaluate`` gives plain data, ready for JSON::

    {"frames": 60, "fps": 30.0,
     "per_frame": {body: {metric: [number or None per frame]}},
     "summary": {body: {metric: {"median", "mean", "p95", "max", "frames", "below": {threshold: fraction}}}},
     "pairs": {"mug+hand": {"per_frame": {metric: [...]}, "summary": {metric: {...}}}}}

A metric that does not apply to a body is absent; a frame in which it is not defined is None.  ``docs/evaluation.md``
says why each is defined as it is, and what to beware of.

With truth (bodies that are estimated):

=========================  ==========================================================================================
``add_mm``                 mean distance of corresponding vertices, least over the body's symmetry
``add_s_mm``               mean distance from each true vertex to the nearest estimated one
``chamfer_mm``             mean of the two one-sided mean distances from points of one surface to the other surface
``chamfer_2d_px``          the same between the projected points, as points in the picture
``chamfer_2d_mm``          that, at the depth of the true origin
``rotation_deg``           angle of the rotation error; between the axes for an axis of symmetry; absent for a sphere
``translation_mm``         distance of the body origins
``depth_mm``               part of it along the viewing ray of the true origin, positive when estimated too far
``lateral_mm``             part of it across that ray
``joint_deg``              mean error of the joint coordinates
``joint_mm``               mean error of the sliding joints
``acceleration_error_mm``  mean difference of the vertices' second differences [mm/frame^2]
``world_mm``               distance of the body origins in the world, where the camera moves and its truth is known
=========================  ==========================================================================================

Where the camera moves, accelerations are those in the world, and under ``camera`` are its own ``shake_mm`` and
``shake_deg``, second differences of place and turn, and with truth ``translation_mm``, ``rotation_deg`` and
``acceleration_error_mm``.

With truth, bodies with keypoints (hands); ``vertex_..`` is the same for all vertices, whose absolute error is ADD:

=========================  ==========================================================================================
``keypoint_mm``            mean distance of corresponding keypoints
``keypoint_root_mm``       after moving the first keypoint (a hand's wrist) to its true place
``keypoint_pa_mm``         after the best similarity (Procrustes)
``keypoint_pa_mirror_mm``  after the best similarity or mirror image, as some benchmarks have it
``f_score_5mm``            harmonic mean of the shares of vertices nearer than 5 mm to the other surface's vertices
``f_score_15mm``           the same for 15 mm
=========================  ==========================================================================================

Bodies whose motion comes with a covariance; all but the first two need truth:

=========================  ==========================================================================================
``stated_position_mm``     root mean square error of the position that the covariance states
``stated_rotation_deg``    the same of the rotation
``nees``                   error of the pose in units of its covariance, e' C^-1 e: chi-squared with 6 degrees of
                           freedom where all is well, fewer where symmetry hides turns or nothing could be observed
``nees_level``             share of chi-squared draws that are smaller: spread evenly over [0, 1] where all is well
``position_sigmas``        largest of the three components of the position error over its own standard deviation
``rotation_sigmas``        the same of the rotation error
``joint_nees``             as ``nees``, of the joint coordinates
=========================  ==========================================================================================

Always:

=========================  ==========================================================================================
``acceleration_mm``        mean second difference of the vertices [mm/frame^2] (bodies that are estimated)
``mask_iou``               visible pixels drawn against labelled, don't-care left out; None where nothing is labelled
``distance_mm``            least signed distance of the other bodies' surface points to this body
``penetration_mm``         how deep the deepest of them is inside, 0 when none is
``slip_mm``                mean motion in this rigid body's frame of points in contact in this and the last frame
=========================  ==========================================================================================

Pairs of bodies have ``distance_mm`` and ``penetration_mm`` of both sides together, ``slip_mm``,
``shared_volume_cm3`` (where both are closed), and with truth ``contact_f1``: how well the points that touch are those
that touch in truth; ``zone_f1`` is the same for the named zones of a hand.  Of scenes with contact maps, ``maps`` has
``map_f1`` and ``map_mm`` by ``"hand on mug"`` (:mod:`warpprior.metrics.contact_maps`).

Summaries of what is better the larger it is give ``p05``, ``min`` and ``above`` instead; ``depth_mm`` is summarised by
magnitude, with its mean as ``bias``; accelerations have ``mean_m_s2``.  Single figures among them:

``contact_ratio``, ``overlap_ratio``, ``apart_ratio``
    shares of frames, which add up to 1: a point is nearer than 2 mm and none 5 mm deep; one is at least as deep; no
    point is nearer than 2 mm.
``failures_add``, ``failures_chamfer``, ``failures_keypoint``
    frames more than 5 cm off by that error; ``failures`` is that of keypoints where there are any, else of Chamfer, as
    its ``by`` says.
``consistency``
    of the pose and of the joints: ``mean`` of NEES over its degrees of freedom (1 is ideal), and the shares of frames
    ``inside``, ``above`` (too sure) and ``below`` the 95 % band.
``.._auc``
    the area under the curve of correct points.
``contact_f1_pooled``
    over all frames.
``truth``
    what contact, penetration, volume and slip are in the true motion.
"""

from warpprior.metrics.evaluate import Evaluator, evaluate

__all__ = ["Evaluator", "evaluate"]
