"""Loss: the cost of a motion by any terms, frame by frame, differentiable on the caller's own tape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.support.device import warp_device
from warpprior.support.errors import InputError
from warpprior.system.stage import Stage
from warpprior.terms.term import ADAM, Term, bind_terms, check_names

if TYPE_CHECKING:
    import warp as wp

    from warpprior.scene import Scene, SceneBody


class Loss:
    """The cost of the estimated bodies' motion, as :func:`warpprior.refine` has it.

    ::

        loss = warpprior.terms.Loss(scene, ["coverage", "penetration"])
        with wp.Tape() as tape:
            costs = loss({"mug": (position, rotation)})  # [frame]
        tape.backward(grads={costs: seeds})

    Each call finds anew what is held while differentiating: contacts, matches, visibility.

    Args:
        scene: camera, bodies and observations.
        terms: names of terms, or terms with settings of their own; None takes those that Adam uses by default and that
            find something in the scene.
        device: Warp device; None takes a GPU if there is one.
        stage: how coarsely terms look; by default as at the end of a refinement.
        contact_points: points per body that feel contact.
        window_margin: space around the labels, as a share of their size.

    Attributes:
        terms: the terms.
        device: the Warp device.

    Raises:
        InputError: no body is estimated, or a term is refused, as :func:`chosen_terms` says.
    """

    def __init__(
        self,
        scene: Scene,
        terms: Sequence[str | Term] | None = None,
        *,
        device: Any = None,
        stage: Stage | None = None,
        contact_points: int = 512,
        window_margin: float = 0.25,
    ):
        import warp as wp

        from warpprior.scene import check_is_scene
        from warpprior.support.device import resolve_device
        from warpprior.system.energy import Energy
        from warpprior.system.motion import MotionState
        from warpprior.system.observed import observe_picture
        from warpprior.system.problem import Problem
        from warpprior.system.unknown_settings import UnknownSettings

        check_is_scene(scene, "loss")
        if all(body.known for body in scene.bodies):
            raise InputError(f"scene {scene.name!r}", "every body is known", "at least one body to estimate")
        self.terms = chosen_terms(scene, terms)
        self.device = warp_device(resolve_device(device))
        self._motion = MotionState(scene, self.device, point_count=contact_points)
        self._first_poses = {name: wp.clone(poses) for name, poses in self._motion.base_poses.items()}
        self._first_joints = {name: wp.clone(joints) for name, joints in self._motion.base_joints.items()}
        observed = observe_picture(self._motion, window_margin)
        problem = Problem(self._motion, observed, UnknownSettings(estimate_shape=False))
        problem.prepare_for(self.terms)
        self._energy = Energy(problem, bind_terms(self.terms, problem))
        stage = Stage() if stage is None else stage
        problem.enter(stage)
        for bound in self._energy.terms:
            bound.enter(stage)
        self._call: object = None  # the one that the bodies and what is held are of
        self._factors = wp.array(self._energy.factors.astype(np.float32), dtype=wp.float32, device=self.device)

    def __call__(self, poses: Mapping[str, Any]) -> wp.array:
        """The cost of each frame.

        Args:
            poses: by name of an estimated body: a tuple of position (frame, 3) [m], rotation (quaternions xyzw or
                matrices) and joints (frame, coordinate), [frame] transform, (frame, 7), or a
                :class:`warpprior.Poses`.  Bodies that are left out are where the scene has them first.

        Returns:
            [frame] float32, all terms together; on the tape that is recording, gradients reach poses and joints.

        Raises:
            InputError: a body that is not estimated, an array that is refused, or shapes that do not fit.
        """
        import warp as wp

        from warpprior.kernels.energy import sum_rows
        from warpprior.support.tape import record_adjoint, unrecorded

        if not isinstance(poses, Mapping):
            raise InputError("loss: poses", f"a {type(poses).__name__}", "a dict by name of the body")
        given = {name: self._read(name, values) for name, values in poses.items()}
        needed = any(array.requires_grad for pair in given.values() for array in pair if array is not None)
        totals = wp.zeros(self._motion.frame_count, dtype=wp.float32, device=self.device, requires_grad=needed)
        call = object()
        with unrecorded():
            self._hold(given, call)
            self._energy.evaluate()
            sum_rows(self._energy.rows, self._factors, totals_out=totals)
        if needed:
            arrays = [array for pair in given.values() for array in pair if array is not None]
            record_adjoint(lambda: self._push(given, totals, call), [totals, *arrays])
        return totals

    @property
    def by_term(self) -> dict[str, np.ndarray]:
        """Costs at the last call, by name of the term (frame,)."""
        rows = self._energy.rows.numpy() * self._energy.factors[:, None]
        return dict(zip(self._energy.names, rows, strict=True))

    def _read(self, name: str, values: Any) -> tuple[wp.array, wp.array | None]:
        """Poses [frame] transform of a body, and its joints, if given."""
        from warpprior.geometry.posed import poses_of
        from warpprior.support.arrays import to_warp

        body = self._body(name)
        where, count = f"poses of {name!r}", self._motion.frame_count
        joints = values[2] if isinstance(values, tuple) and len(values) > 2 else getattr(values, "joints", None)
        transforms = poses_of(values, where, self.device, count=count)
        shape = (count, body.body.coordinate_count)
        if not shape[1] and joints is not None and 0 not in np.shape(joints):
            raise InputError(f"joints of {name!r}", "some", "none: it has no joints")
        if joints is None or not shape[1]:
            return transforms, None
        return transforms, to_warp(joints, f"joints of {name!r}", float, 2, self.device, shape=shape)

    def _body(self, name: str) -> SceneBody:
        for body in self._motion.estimated:
            if body.name == name:
                return body
        accepted = f"one of {', '.join(body.name for body in self._motion.estimated)}"
        raise InputError("loss", f"no estimated body {name!r}", accepted)

    def _hold(self, given: Mapping[str, tuple[wp.array, wp.array | None]], call: object) -> None:
        """Move the bodies where a call has them, and find what is held there."""
        import warp as wp

        motion, self._call = self._motion, None  # until it is done: a term may raise
        for name in motion.base_poses:
            # What is not given is where the scene has it, wherever an earlier call moved it.
            transforms, joints = given.get(name, (self._first_poses[name], None))
            wp.copy(motion.base_poses[name], transforms)
            wp.copy(motion.base_joints[name], self._first_joints[name] if joints is None else joints)
            motion.increments[name].zero_()
        motion.pose()
        self._energy.freeze()
        self._call = call

    def _push(self, given: Mapping[str, tuple[wp.array, wp.array | None]], totals: wp.array, call: object) -> None:
        """The adjoint; another call may have moved the bodies since."""
        from warpprior.kernels.energy import pull_joints, pull_poses, seed_rows

        if self._call is not call:
            self._hold(given, call)
        seed_rows(totals.grad, self._factors, seeds_out=self._energy.weights)
        self._energy.differentiate()
        for name, (transforms, joints) in given.items():
            increments = self._motion.increments[name]
            if transforms.requires_grad:
                pull_poses(transforms, increments.grad, pose_gradients_out=transforms.grad)
            if joints is not None and joints.requires_grad:
                pull_joints(increments.grad, joint_gradients_out=joints.grad)
        self._energy.clear()


def chosen_terms(scene: Scene, terms: Sequence[str | Term] | None) -> list[Term]:
    """Terms by name or as they are, each with an energy.

    Raises:
        InputError: there is no such term, it is named twice, it is off unless it is given a weight, it has no energy,
            or the scene lacks what it reads.
    """
    from warpprior.terms import TERMS, default

    if terms is None:
        return [term for term in default(scene) if ADAM in term.solvers and term.weight > 0.0]
    by_name = {kind.name: kind for kind in TERMS}
    if isinstance(terms, str) or not isinstance(terms, Iterable):
        raise InputError("terms", repr(terms), "a list of terms or of their names")
    chosen = []
    for term in terms:
        if isinstance(term, str):
            if term not in by_name:
                raise InputError("terms", f"no term {term!r}", f"some of {', '.join(by_name)}")
            term = by_name[term]()
            if term.weight == 0.0:
                accepted = f"warpprior.terms.{type(term).__name__}(weight=...)"
                raise InputError("terms", f"{term.name!r}, which has no weight by default", accepted)
        if not isinstance(term, Term):
            found = f"the class {term.__name__}" if isinstance(term, type) else f"a {type(term).__name__}"
            raise InputError("terms", found, "names of terms, or terms with their settings, as Mine()")
        if ADAM not in term.uses:
            raise InputError("terms", f"{term.name!r} has no energy", "terms that Adam can use")
        lacks = term.lacks(scene)
        if lacks:
            found = f"{term.name!r}, but scene {scene.name!r} has no {' and no '.join(lacks)}"
            raise InputError("terms", found, "terms that find something in the scene")
        chosen.append(term)
    check_names(chosen, "terms")
    return chosen
