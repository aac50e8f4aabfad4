"""The codes of findings: each is of one kind of fault, and stands in docs/checks.md."""

CODES = (
    *("quaternion_order", "rotation_transposed", "pose_inverse", "opengl_axes", "euler_or_degrees", "initial_missing"),
    *("intrinsics_scale", "principal_point", "depth_of_crop_camera", "mesh_scale", "mesh_units", "depth_scale"),
    *("keypoints_swapped_uv", "keypoints_mirrored", "keypoint_order", "keypoints_normalised"),
    *("keypoints_missing_marker", "hand_side", "frame_offset", "frame_rate"),
    *("labels_swapped", "label_instance", "label_values", "object_symmetry"),
)
