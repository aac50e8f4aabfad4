"""What the parts of a refinement take, roughly and on one core: only ratios matter, so that its progress is even."""

from __future__ import annotations

from collections.abc import Iterable

from warpprior.scene import Scene
from warpprior.settings import RefineSettings
from warpprior.system.stage import Stage

MODULE_S = 0.4  # to compile one module of kernels
WHOLE_S = 0.07  # of a whole refinement, per frame and rigid body
PREPARING = 0.15  # of a whole refinement, before its first part

_OF_A_HAND = 3.0  # a body with joints, in rigid bodies
_START = 4.0  # the closed-form start, in iterations
_HALF_TURNS, _CARRIED = 14.0, 1.0  # hypotheses of a rigid body, and a frame that poses travel, in its iterations
_DESCENT = 0.5  # an iteration of Adam, in those of Gauss-Newton


def whole_seconds(scene: Scene) -> float:
    """What a refinement takes [s]."""
    return WHOLE_S * scene.frame_count * _bodies(scene)


def part_costs(
    scene: Scene, settings: RefineSettings, *, start: bool, stages: Iterable[Stage], descent: int
) -> list[float]:
    """What each part takes, in any unit.

    Args:
        scene: whose bodies are estimated.
        settings: what bounds iterations and leaves out hypotheses.
        start: there is a closed-form start.
        stages: of Gauss-Newton.
        descent: iterations of Adam; 0 for none.
    """
    bodies, rigid = _bodies(scene), sum(not body.known and body.body.is_rigid for body in scene.bodies)
    costs = [_START * bodies] if start else []
    for stage in stages:
        iterations = stage.iterations if settings.iterations is None else min(stage.iterations, settings.iterations)
        tried = 0.0 if "hypotheses" in settings.without else rigid * _hypotheses(stage)
        costs.append(bodies * iterations + tried)
    return costs + ([_DESCENT * bodies * descent] if descent else [])


def hypotheses_share(stage: Stage, rigid: int, scene: Scene, iterations: int) -> float:
    """The share of a stage that goes into hypotheses of so many rigid bodies, before so many iterations."""
    tried = rigid * _hypotheses(stage)
    return tried / (tried + _bodies(scene) * iterations) if tried else 0.0


def _hypotheses(stage: Stage) -> float:
    """Hypotheses for one rigid body, in its iterations."""
    return _HALF_TURNS * stage.half_turns + _CARRIED * stage.carry_frames


def _bodies(scene: Scene) -> float:
    """The estimated bodies, counted as rigid ones."""
    return sum(1.0 if body.body.is_rigid else _OF_A_HAND for body in scene.bodies if not body.known)
