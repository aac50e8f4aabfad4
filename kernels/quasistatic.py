"""Quasi-static dynamics: contacts carry the object.  Weighted MAP Kabsch with a closed-form adjoint.

A grasped object follows its contact points: the motion from one frame to the next is the rigid motion that best maps
the contacts before onto the contacts after (the paper's Eq. 9, with the object's position rotated as well as shifted)

    v = sum w_i v_i / sum w_i,   M = sum_i w_i (v'_i - v')(v_i - v)^T + lambda R_prior,   R = argmax tr(R^T M)
    R_t = R R_{t-1},             p_t = v' + R (p_{t-1} - v)

The prior makes none, one, two or collinear contacts well posed.  ``lambda = s^2 / (2 sigma_phi^2)`` is the exact MAP
weight of a rotation prior of standard deviation ``sigma_phi`` [rad] for contact noise ``s`` [m], and the prior motion
of the object's origin is one more contact, of weight ``s^2 / sigma_p^2``.

Stock ``wp.svd3`` gradients are wrong at the scale of a hand (covariances near 1e-4 m^2) and wherever two singular
values are equal, so the rotation carries its own adjoint: with ``M = R S`` and ``K = tr(S) I - S``, a change of M turns
R by ``K^-1`` times the antisymmetric part of ``R^T dM``.  K has eigenvalues s2 + s3, s1 + s3 and s1 + s2: it is
singular only for collinear or mirror-ambiguous contacts, and differences of singular values never appear.
"""

import warp as wp

# Below this determinant of K, for M of unit Frobenius norm, rounding decides the rotation: the prior is returned.
SINGULAR_DETERMINANT = wp.constant(1.0e-5)
# Standard deviation reported for a rotation that the contacts do not determine [rad].
UNKNOWN_ANGLE = wp.constant(3.14159265)
# Eigenvalues of K below this fraction of the largest do not count towards its rank.
RANK_TOLERANCE = wp.constant(1.0e-4)


@wp.func
def rotation_information(moment: wp.mat33, rotation: wp.mat33) -> wp.mat33:
    """K = tr(S) I - S for the symmetric part S of ``rotation^T moment``."""
    stretch = wp.transpose(rotation) * moment
    stretch = 0.5 * (stretch + wp.transpose(stretch))
    return wp.trace(stretch) * wp.identity(n=3, dtype=float) - stretch


@wp.func
def antisymmetric_part(a: wp.mat33) -> wp.vec3:
    """The vector (a32 - a23, a13 - a31, a21 - a12)."""
    return wp.vec3(a[2, 1] - a[1, 2], a[0, 2] - a[2, 0], a[1, 0] - a[0, 1])


@wp.func
def project_rotation(moment: wp.mat33):
    """Nearest proper rotation of a matrix of unit norm, and the determinant of its K (small: not determined)."""
    u, _sigma, v = wp.svd3(moment)
    if wp.determinant(u) * wp.determinant(v) < 0.0:
        u = u * wp.diag(wp.vec3(1.0, 1.0, -1.0))
    rotation = u * wp.transpose(v)
    # svd3 stops after four Jacobi sweeps; one Newton step on the rotation brings it to rounding error.
    information = rotation_information(moment, rotation)
    determinant = wp.determinant(information)
    if determinant > SINGULAR_DETERMINANT:
        step = wp.inverse(information) * antisymmetric_part(wp.transpose(rotation) * moment)
        angle = wp.length(step)
        if angle > 1.0e-9 and angle < 0.5:
            turn = wp.quat_to_matrix(wp.quat_from_axis_angle(step / angle, angle))
            rotation = rotation * turn
            information = rotation_information(moment, rotation)
            determinant = wp.determinant(information)
    return rotation, determinant


@wp.func
def frobenius_norm(a: wp.mat33) -> float:
    """Square root of the sum of squares of all elements."""
    return wp.sqrt(wp.ddot(a, a))


@wp.func
def nearest_rotation(moment: wp.mat33, fallback: wp.mat33) -> wp.mat33:
    """Proper rotation R maximising tr(R^T moment); ``fallback`` where moment does not determine one."""
    scale = frobenius_norm(moment)
    if not (scale > 0.0 and wp.isfinite(scale)):
        return fallback
    rotation, determinant = project_rotation(moment / scale)
    if not (determinant > SINGULAR_DETERMINANT):
        return fallback
    return rotation


@wp.func_grad(nearest_rotation)
def adj_nearest_rotation(moment: wp.mat33, fallback: wp.mat33, adj_ret: wp.mat33):
    """Adjoint of :func:`nearest_rotation` in closed form; see the module."""
    scale = frobenius_norm(moment)
    determinant = float(0.0)
    if scale > 0.0 and wp.isfinite(scale):
        unit = moment / scale
        rotation, determinant = project_rotation(unit)
        if determinant > SINGULAR_DETERMINANT:
            torque = antisymmetric_part(wp.transpose(rotation) * adj_ret)
            turn = wp.inverse(rotation_information(unit, rotation)) * torque
            wp.adjoint[moment] += rotation * wp.skew(turn) / scale
    if not (determinant > SINGULAR_DETERMINANT):
        wp.adjoint[fallback] += adj_ret


@wp.func
def reciprocal(weight_sum: float) -> float:
    """1 / weight_sum, and 0 where there is no weight at all."""
    return wp.where(weight_sum > 0.0, 1.0 / wp.max(weight_sum, 1.0e-30), 0.0)


@wp.kernel
def _sum_contacts(
    points_before: wp.array2d[wp.vec3],  # [frame, contact]
    points_after: wp.array2d[wp.vec3],  # [frame, contact]
    weights: wp.array2d[float],  # [frame, contact]
    poses_before: wp.array[wp.transform],  # [frame]
    prior_motions: wp.array[wp.transform],  # [frame]
    prior_weight: wp.array[float],  # [1]
    weight_sums_out: wp.array[float],  # [frame]
    sums_before_out: wp.array[wp.vec3],  # [frame]
    sums_after_out: wp.array[wp.vec3],  # [frame]
):
    """Weights and weighted offsets of the contacts of one frame."""
    frame = wp.tid()
    origin_before = wp.transform_get_translation(poses_before[frame])
    origin_after = origin_before + wp.transform_get_translation(prior_motions[frame])
    weight_sum = float(0.0)
    sum_before = wp.vec3(0.0, 0.0, 0.0)
    sum_after = wp.vec3(0.0, 0.0, 0.0)
    for contact in range(weights.shape[1]):
        weight = weights[frame, contact]
        if weight != 0.0:
            weight_sum += weight
            sum_before += weight * (points_before[frame, contact] - origin_before)
            sum_after += weight * (points_after[frame, contact] - origin_after)
    weight_sums_out[frame] = weight_sum + prior_weight[0]
    sums_before_out[frame] = sum_before
    sums_after_out[frame] = sum_after


def sum_contacts(
    points_before,
    points_after,
    weights,
    poses_before,
    prior_motions,
    prior_weight,
    *,
    weight_sums_out,
    sums_before_out,
    sums_after_out,
):
    """Sum the contact weights, and the weighted offsets of the contacts from the body's origin before and after.

    The prior motion puts one more contact, of weight ``prior_weight``, at the body's origin: its offset is zero.
    A contact of weight zero is absent: it is not read and receives no gradient.
    """
    wp.launch(
        _sum_contacts,
        dim=weight_sums_out.shape[0],
        inputs=[points_before, points_after, weights, poses_before, prior_motions, prior_weight],
        outputs=[weight_sums_out, sums_before_out, sums_after_out],
        device=weight_sums_out.device,
    )


@wp.kernel
def _correlate_contacts(
    points_before: wp.array2d[wp.vec3],  # [frame, contact]
    points_after: wp.array2d[wp.vec3],  # [frame, contact]
    weights: wp.array2d[float],  # [frame, contact]
    poses_before: wp.array[wp.transform],  # [frame]
    prior_motions: wp.array[wp.transform],  # [frame]
    prior_weight: wp.array[float],  # [1]
    prior_strength: wp.array[float],  # [1]
    weight_sums: wp.array[float],  # [frame]
    sums_before: wp.array[wp.vec3],  # [frame]
    sums_after: wp.array[wp.vec3],  # [frame]
    moments_out: wp.array[wp.mat33],  # [frame]
):
    """Weighted correlation of the contacts of one frame before and after, with the prior."""
    frame = wp.tid()
    inverse = reciprocal(weight_sums[frame])
    offset_before = inverse * sums_before[frame]
    offset_after = inverse * sums_after[frame]
    origin_before = wp.transform_get_translation(poses_before[frame])
    centroid_before = origin_before + offset_before
    centroid_after = origin_before + wp.transform_get_translation(prior_motions[frame]) + offset_after
    moment = wp.mat33(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for contact in range(weights.shape[1]):
        weight = weights[frame, contact]
        if weight != 0.0:
            arm_before = points_before[frame, contact] - centroid_before
            arm_after = points_after[frame, contact] - centroid_after
            moment += wp.outer(weight * arm_after, arm_before)
    prior_rotation = wp.quat_to_matrix(wp.transform_get_rotation(prior_motions[frame]))
    origin_term = wp.outer(prior_weight[0] * offset_after, offset_before)
    moments_out[frame] = moment + origin_term + prior_strength[0] * prior_rotation


def correlate_contacts(
    points_before,
    points_after,
    weights,
    poses_before,
    prior_motions,
    prior_weight,
    prior_strength,
    weight_sums,
    sums_before,
    sums_after,
    *,
    moments_out,
):
    """The matrix M of the module's equation per frame [m^2], the prior included."""
    wp.launch(
        _correlate_contacts,
        dim=moments_out.shape[0],
        inputs=[
            points_before,
            points_after,
            weights,
            poses_before,
            prior_motions,
            prior_weight,
            prior_strength,
            weight_sums,
            sums_before,
            sums_after,
        ],
        outputs=[moments_out],
        device=moments_out.device,
    )


@wp.kernel
def _carry_poses(
    poses_before: wp.array[wp.transform],  # [frame]
    prior_motions: wp.array[wp.transform],  # [frame]
    weight_sums: wp.array[float],  # [frame]
    sums_before: wp.array[wp.vec3],  # [frame]
    sums_after: wp.array[wp.vec3],  # [frame]
    moments: wp.array[wp.mat33],  # [frame]
    rotations_out: wp.array[wp.mat33],  # [frame]
    poses_after_out: wp.array[wp.transform],  # [frame]
):
    """Motion of one frame that best maps the contacts, and the pose that it leads to."""
    frame = wp.tid()
    inverse = reciprocal(weight_sums[frame])
    offset_before = inverse * sums_before[frame]
    offset_after = inverse * sums_after[frame]
    prior_rotation = wp.quat_to_matrix(wp.transform_get_rotation(prior_motions[frame]))
    rotation = nearest_rotation(moments[frame], prior_rotation)
    shift = wp.transform_get_translation(prior_motions[frame]) + offset_after - rotation * offset_before
    position = wp.transform_get_translation(poses_before[frame]) + shift
    turn = wp.quat_from_matrix(rotation) * wp.transform_get_rotation(poses_before[frame])
    rotations_out[frame] = rotation
    poses_after_out[frame] = wp.transform(position, wp.normalize(turn))


def carry_poses(
    poses_before, prior_motions, weight_sums, sums_before, sums_after, moments, *, rotations_out, poses_after_out
):
    """Move each pose by the rigid motion its contacts went through: rotation of the transfer, and the pose after.

    Poses are camera_from_body.  A prior motion holds the displacement of the body's origin [m] and the rotation, in the
    camera frame, expected between the two frames: identity for "stays where it is", the last motion for "goes on".
    Where the contacts and the prior together do not determine a rotation, the prior's is taken and the gradient with
    respect to the contacts is zero.
    """
    wp.launch(
        _carry_poses,
        dim=poses_after_out.shape[0],
        inputs=[poses_before, prior_motions, weight_sums, sums_before, sums_after, moments],
        outputs=[rotations_out, poses_after_out],
        device=poses_after_out.device,
    )


@wp.kernel(enable_backward=False)
def _measure_transfer(
    moments: wp.array[wp.mat33],  # [frame]
    rotations: wp.array[wp.mat33],  # [frame]
    weight_sums: wp.array[float],  # [frame]
    contact_sigma: wp.array[float],  # [1]
    rotation_covariance_out: wp.array[wp.mat33],  # [frame]
    centroid_variance_out: wp.array[float],  # [frame]
    rank_out: wp.array[int],  # [frame]
    smallest_out: wp.array[float],  # [frame]
):
    """How well the contacts of one frame determine its motion."""
    frame = wp.tid()
    variance = contact_sigma[0] * contact_sigma[0]
    information = rotation_information(moments[frame], rotations[frame])
    scale = frobenius_norm(information)
    axes = wp.identity(n=3, dtype=float)
    eigenvalues = wp.vec3(0.0, 0.0, 0.0)
    if scale > 0.0:
        axes, eigenvalues = wp.eig3(information / scale)
        eigenvalues = scale * eigenvalues
    least_known = variance / (UNKNOWN_ANGLE * UNKNOWN_ANGLE)
    variances = wp.vec3(
        variance / wp.max(eigenvalues[0], least_known),
        variance / wp.max(eigenvalues[1], least_known),
        variance / wp.max(eigenvalues[2], least_known),
    )
    rank = int(0)
    for axis in range(3):
        if eigenvalues[axis] > RANK_TOLERANCE * scale and eigenvalues[axis] > least_known:
            rank += 1
    rotation_covariance_out[frame] = axes * wp.diag(variances) * wp.transpose(axes)
    centroid_variance_out[frame] = variance / wp.max(weight_sums[frame], 1.0e-12)
    rank_out[frame] = rank
    smallest_out[frame] = wp.min(eigenvalues)


def measure_transfer(
    moments,
    rotations,
    weight_sums,
    contact_sigma,
    *,
    rotation_covariance_out,
    centroid_variance_out,
    rank_out,
    smallest_out,
):
    """Uncertainty of the transferred motion, for contact noise ``contact_sigma`` [m].

    ``rotation_covariance_out`` is s^2 K^-1 [rad^2] for the transfer R Exp(dw): along the camera's axes at the frame
    before; an undetermined direction is given pi^2.  ``centroid_variance_out`` is s^2 / sum w [m^2] per axis.
    ``rank_out`` counts the directions of rotation that are determined (two for collinear contacts without a prior) and
    ``smallest_out`` is the smallest eigenvalue of K [m^2].
    """
    wp.launch(
        _measure_transfer,
        dim=rank_out.shape[0],
        inputs=[moments, rotations, weight_sums, contact_sigma],
        outputs=[rotation_covariance_out, centroid_variance_out, rank_out, smallest_out],
        device=rank_out.device,
        record_tape=False,
    )
