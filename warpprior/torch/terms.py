"""The terms of a refinement as a loss of torch tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from warpprior.support.errors import InputError
from warpprior.terms import Loss, Term
from warpprior.torch.recording import load_torch, record

if TYPE_CHECKING:
    from warpprior.scene import Scene


class loss:
    """The cost of the estimated bodies' motion, frame by frame, as :class:`warpprior.terms.Loss` has it.

    ::

        loss = warpprior.torch.loss(scene, terms=["coverage", "penetration"])
        loss({"mug": (position, rotation)}).sum().backward()

    Args:
        scene: camera, bodies and observations.
        terms: names of terms, or terms; None takes those that Adam uses by default.
        device: of the tensors: ``cpu``, ``cuda`` or ``cuda:1``.
        options: of :class:`warpprior.terms.Loss`.

    Raises:
        InputError: no body is estimated, there is no such term, or it has no energy.
        MissingExtraError: torch is not installed.
    """

    def __init__(self, scene: Scene, terms: Sequence[str | Term] | None = None, *, device: Any = "cpu", **options: Any):
        load_torch()
        self._loss = Loss(scene, terms, device=str(device), **options)

    def __call__(self, poses: Mapping[str, Any]) -> Any:
        """The cost of each frame.

        Args:
            poses: by name of an estimated body: a tuple of tensors, position (frame, 3) [m], rotation (quaternions xyzw
                of any length (frame, 4), or matrices) and joints (frame, coordinate), or (frame, 7), or a
                :class:`warpprior.Poses`.

        Returns:
            (frame,) float32, differentiable in every tensor.

        Raises:
            InputError: a body that is not estimated, a tensor that is refused, or shapes that do not fit.
        """
        if not isinstance(poses, Mapping):
            raise InputError("loss: poses", f"a {type(poses).__name__}", "a dict by name of the body")
        names, parts = list(poses), []
        for values in poses.values():
            parts.append(values if isinstance(values, tuple) else (values,))

        def run(*flat: Any) -> tuple[Any]:
            rest, given = list(flat), {}
            for name, part in zip(names, parts, strict=True):
                own, rest = rest[: len(part)], rest[len(part) :]
                given[name] = own[0] if len(part) == 1 else tuple(own)
            return (self._loss(given),)

        return record(run, *(value for part in parts for value in part))[0]

    @property
    def by_term(self) -> dict[str, Any]:
        """Costs at the last call, by name of the term (frame,), as NumPy arrays."""
        return self._loss.by_term
