"""Term: what makes a motion right, as settings; bound to a problem it adds rows, or costs and their gradient.

A term is a frozen dataclass of settings.  :meth:`Term.bind` gives, for each body or pair it concerns, a
:class:`BoundTerm` with arrays of its own.  Its physics stands in one kernel, which hands each residual with weight and
derivative to a :class:`warpprior.kernels.rows.System`; Gauss-Newton and the energy differ in what that does with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from warpprior.support.errors import InputError
from warpprior.support.limits import check_ranges
from warpprior.support.limits import weight as weight_field

if TYPE_CHECKING:
    import numpy as np
    import warp as wp

    from warpprior.kernels.rows import System
    from warpprior.render.parts import Part
    from warpprior.scene import Scene, SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage

GAUSS_NEWTON, ADAM = "gauss_newton", "adam"
SOLVERS = (GAUSS_NEWTON, ADAM)


@dataclass(frozen=True, kw_only=True)
class Term:
    """Settings that all terms have.

    Attributes:
        name: of the term, wherever it is named: settings, ``--without``, history, report; a constant of the class.
        uses: solvers that can use it: ``gauss_newton`` needs rows, ``adam`` an energy; a constant of the class.
        ties_frames: its residuals join frames; left out where frames settle alone; a constant of the class.
        observes: its cost says how well a frame fits what was observed; a constant of the class.
        compares_labels: it holds drawings against label images; a constant of the class.
        draws: it reads the drawings of bodies alone; a constant of the class.
        in_parts: it can be asked for some frames at a time, what it binds being :class:`DrawnTerm`; a constant of the
            class.
        reads: fields of a scene that it needs, all of them; a constant of the class.
        weight: factor of its cost; 0 leaves it out.
        solvers: those that use it here; ``all`` that it has a use for.
    """

    name: ClassVar[str] = ""
    uses: ClassVar[tuple[str, ...]] = SOLVERS
    ties_frames: ClassVar[bool] = False
    observes: ClassVar[bool] = False
    compares_labels: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    in_parts: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()

    weight: float = weight_field(1.0)
    solvers: tuple[str, ...] = ("all",)

    def __post_init__(self):
        if not self.name.isidentifier():
            raise InputError(f"term {type(self).__name__}", f"the name {self.name!r}", "a class attribute like 'table'")
        check_ranges(self, prefix=f"{self.name}.")
        if self.solvers == ("all",):
            object.__setattr__(self, "solvers", self.uses)
        for solver in self.solvers:
            if solver not in SOLVERS:
                raise InputError(f"settings: {self.name}.solvers", repr(solver), f"some of {', '.join(SOLVERS)}")
            if solver not in self.uses:
                accepted = f"only {', '.join(self.uses)}: it has no {'rows' if solver == GAUSS_NEWTON else 'energy'}"
                raise InputError(f"settings: {self.name}.solvers", repr(solver), accepted)

    def lacks(self, scene: Scene) -> tuple[str, ...]:
        """Fields that the term needs and the scene does not have."""
        return tuple(name for name in self.reads if _is_missing(getattr(scene, name)))

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """The term for each body or pair of the problem that it concerns; ``problem.note`` says why not.

        Called once before a solver's first stage.  Everything is allocated here: nothing in the loop allocates.
        """
        raise TypeError(f"term {self.name!r} has no bind(problem)")


class BoundTerm:
    """A term bound to one estimated body, or to it and another.

    Args:
        term: the settings.
        body: whose term it is: where this body is tried out alone, the term says what that costs.
        problem: the sequence's.

    Attributes:
        name: of the term.
        costs: of each frame [frame] float64, weight included; every :meth:`add` adds to it, and who asks for costs
            zeroes it first.
        factor: what rows of the energy are multiplied with; 1 where the weight is in the cost.
        in_parts: as the term has it.
        asks_contacts: it reads ``problem.contacts``; a constant of the class.
    """

    asks_contacts: ClassVar[bool] = True

    def __init__(self, term: Any, body: SceneBody, problem: Problem):
        import warp as wp

        self.term, self.name, self.body, self.problem = term, term.name, body, problem
        self.ties_frames, self.observes, self.in_parts = term.ties_frames, term.observes, term.in_parts
        self.costs = wp.zeros(problem.motion.frame_count, dtype=wp.float64, device=problem.motion.device)
        self.factor = 1.0

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm | None:
        """The same of all clips that ``joined`` has one behind the other, which are then launched at once.

        None, as here, leaves each clip to a bound term of its own: that is right for any term.

        Args:
            joined: problem of all clips.
            clips: this term as it is bound in each of them; their arrays may become a part of those of all.
        """
        return None

    def enter(self, stage: Stage) -> None:
        """Take the scales of a stage."""

    def freeze(self) -> None:
        """Find what is held until the next time: which samples there are and what they meet; launches only."""

    def add(self, system: System, *, alone: bool = False) -> None:
        """Add residuals at the current motion to ``system``, and their cost to :attr:`costs`; launches only.

        With ``alone`` the unknowns of other bodies may be left out, which is quicker.
        """
        raise TypeError(f"term {self.name!r} has no rows")

    def observed_costs(self) -> np.ndarray:
        """Of a term that observes: how badly each frame fits (frame,); waits for the device.

        At the last :meth:`add`, after which those that read drawings were asked to ``gauge_part``.
        """
        return self.costs.numpy()

    def measurements(self, pixels: float) -> float | None:
        """How many residuals of one sigma the cost of the last :meth:`add` is expected to be of; None: not told.

        Args:
            pixels: how much all its rows together say of a shift by one pixel, both ways [1/px^2].
        """
        return None

    def evaluate(self, rows: wp.array, row: int) -> None:
        """Add each frame's value to ``rows[row]`` [term, frame] float32; on a tape, leave the adjoint there.

        A term that adds rows need not write this; one whose kernels Warp differentiates launches them here.
        """
        import warp as wp

        from warpprior.kernels.energy import add_costs
        from warpprior.support.tape import record_adjoint, unrecorded

        with unrecorded():
            self.costs.zero_()
            self.add(self.problem.costs_system)
            add_costs(self.costs, row, rows_out=rows)

        def push() -> None:
            system = self.problem.gradient_system
            assert rows.grad is not None, "a tape comes back through gradients of the rows"
            wp.copy(system.seeds, rows.grad[row])  # pyright: ignore[reportArgumentType] - a row is an array
            self.add(system)

        record_adjoint(push, [rows])


class DrawnTerm(BoundTerm):
    """A bound term of a body whose drawing it reads, which can be asked for a part of the frames: long sequences are
    drawn part by part.

    What it takes from :attr:`warpprior.system.problem.Problem.drawings` is of the part that is drawn, and so must all
    other arrays be that it gives to a kernel: ``part.of(array)``.
    """

    def freeze_part(self, part: Part) -> None:
        """:meth:`freeze` for the frames that are drawn; launches only."""

    def add_part(self, system: System, part: Part) -> None:
        """:meth:`add` for the frames that are drawn, whose rows ``system`` takes; launches only."""
        raise TypeError(f"term {self.name!r} has no rows")

    def gauge_part(self, part: Part) -> None:
        """Find what :meth:`observed_costs` tells of the frames that are drawn, beyond their costs; launches only."""

    def freeze(self) -> None:
        self.freeze_part(self._all())

    def add(self, system: System, *, alone: bool = False) -> None:
        self.add_part(system, self._all())

    def _all(self) -> Part:
        """The one part that there is."""
        (part,) = self.problem.drawings.parts
        return part


def bind_terms(terms: Iterable[Term], problem: Problem) -> list[BoundTerm]:
    """All terms bound to a problem.

    Raises:
        InputError: a term's ``bind`` returns nothing that can be gone through.
    """
    bound: list[BoundTerm] = []
    for term in terms:
        found = term.bind(problem)
        if not isinstance(found, Iterable):
            accepted = "a list of bound terms, [] for none"
            raise InputError(f"term {term.name!r}: bind", f"returned {type(found).__name__}", accepted)
        bound += found
    return bound


def check_terms(terms: object) -> tuple[Term, ...]:
    """Terms as settings hold them.

    Raises:
        InputError: not a list of terms, or two of one name.
    """
    where, accepted = "settings: terms", "a list of terms with their settings, as [*warpprior.terms.default(), Mine()]"
    if isinstance(terms, str) or not isinstance(terms, Iterable):
        raise InputError(where, f"a {type(terms).__name__}", accepted)
    taken = tuple(terms)
    for term in taken:
        if isinstance(term, type):
            raise InputError(where, f"the class {term.__name__}", f"{term.__name__}(), with its settings")
        if not isinstance(term, Term):
            raise InputError(where, repr(term) if isinstance(term, str) else f"a {type(term).__name__}", accepted)
    check_names(taken, where)
    return taken


def check_names(terms: Iterable[Term], where: str) -> None:
    """Refuse two terms of one name.

    Raises:
        InputError: says which.
    """
    names = [term.name for term in terms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(where, f"{twice[0]!r} twice", "one term of each name")


def _is_missing(value: Any) -> bool:
    """No observation: None, or an empty table or row of them."""
    return value is None or (isinstance(value, (dict, tuple)) and not value)
