"""Noise of observations and of first guesses, from a seeded generator.

Masks M0 to M3, rough poses of objects and hands, sensor noise, what detectors make of keypoints and boxes, and points
measured in space.
"""

from warpprior.scenes.noise.depth import depth_sigma, sensor_depths
from warpprior.scenes.noise.detections import (
    BoxNoise,
    KeypointNoise,
    detect_boxes,
    detect_keypoints,
    fingertip_discs,
)
from warpprior.scenes.noise.masks import MASK_NOISE, MaskNoise, disturb_labels, mask_noise
from warpprior.scenes.noise.pictures import PictureNoise, draw_gains, sensor_picture
from warpprior.scenes.noise.points import POINT_NOISE, Point3DNoise, measure_center, measure_keypoints, point_noise
from warpprior.scenes.noise.poses import (
    HAND_NOISE,
    POSE_NOISE,
    HandNoise,
    PoseNoise,
    disturb_hand,
    disturb_poses,
    hand_noise,
    pose_noise,
    split_by_sight,
)

__all__ = [
    "HAND_NOISE",
    "MASK_NOISE",
    "POINT_NOISE",
    "POSE_NOISE",
    "BoxNoise",
    "HandNoise",
    "KeypointNoise",
    "MaskNoise",
    "PictureNoise",
    "Point3DNoise",
    "PoseNoise",
    "depth_sigma",
    "detect_boxes",
    "detect_keypoints",
    "disturb_hand",
    "disturb_labels",
    "disturb_poses",
    "draw_gains",
    "fingertip_discs",
    "hand_noise",
    "mask_noise",
    "measure_center",
    "measure_keypoints",
    "point_noise",
    "pose_noise",
    "sensor_depths",
    "sensor_picture",
    "split_by_sight",
]
