"""Metrics: how far a motion is from the truth, from the pictures, and from what bodies can do.

``evaluate`` gives plain data, ready for JSON::

    {"frames": 60, "fps": 30.0,
     "per_frame": {body: {metric: [number or None per frame]}},
     "summary": {body: {metric: {"median", "mean", "p95", "max", "frames", "below": {threshold: fraction}}}}}

A metric that does not apply to a body is absent; a frame in which it is not defined is None.

With truth (bodies that are estimated):

=========================  ==========================================================================================
``add_mm``                 mean distance of corresponding vertices, least over the body's symmetry
``add_s_mm``               mean distance from each true vertex to the nearest estimated one
``rotation_deg``           angle of the rotation error; between the axes for an axis of symmetry; absent for a sphere
``translation_mm``         distance of the body origins
``depth_mm``               part of it along the viewing ray of the true origin, positive when estimated too far
``lateral_mm``             part of it across that ray
``joint_deg``              mean error of the joint angles
``joint_mm``               mean error of the sliding joints
``acceleration_error_mm``  mean difference of the vertices' second differences [mm/frame^2]
=========================  ==========================================================================================

Always:

=========================  ==========================================================================================
``acceleration_mm``        mean second difference of the vertices [mm/frame^2] (bodies that are estimated)
``mask_iou``               visible pixels drawn against labelled, don't-care left out; None where nothing is labelled
``distance_mm``            least signed distance of the other bodies' surface points to this rigid body
``penetration_mm``         how deep the deepest of them is inside, 0 when none is
``slip_mm``                mean motion in this body's frame of points in contact in this frame and the one before
=========================  ==========================================================================================

Summaries of ``mask_iou`` give ``p05``, ``min`` and ``above`` instead; ``depth_mm`` is summarised by magnitude, with its
mean as ``bias``; accelerations have ``mean_m_s2``.  ``contact_ratio`` is the fraction of frames with a point nearer
than 2 mm and none deeper than 5 mm.
"""

from warpprior.metrics.evaluate import Evaluator, evaluate

__all__ = ["Evaluator", "evaluate"]
