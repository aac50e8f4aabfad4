"""Settings changed from text."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Literal

import pytest

from warpprior.support.errors import InputError
from warpprior.support.limits import number, positive, weight
from warpprior.support.overrides import apply_overrides, known_keys


class Speed(Enum):
    SLOW = 1
    FAST = 2


@dataclass(frozen=True)
class Mask:
    OLD_KEYS: ClassVar[dict[str, str]] = {
        "sigma_pixels": "sigma_px",
        "shape.": "",
        "softness": "the softness is that of the renderer, which has its own setting",
    }
    weight: float = weight(1.0)
    sigma_px: float = positive(2.0)
    mode: Literal["modal", "union"] = "modal"


@dataclass(frozen=True)
class Step:
    count: int = 10


@dataclass(frozen=True)
class Settings:
    OLD_KEYS: ClassVar[dict[str, str]] = {"steps_max": "iterations", "silhouette.": "mask."}
    iterations: int = 200
    early_stop: bool = True
    limit_m: float | None = None
    stages: tuple[float, ...] = (4.0, 1.0)
    pair: tuple[int, float] = (1, 2.0)
    title: str = ""
    speed: Speed = Speed.SLOW
    rate: float = 0.1
    pages: tuple[int, ...] = number((1,), 1, 9)
    mask: Mask = field(default_factory=Mask)
    steps: tuple[Step, ...] = (Step(5), Step())

    def __post_init__(self):
        if self.iterations > 1000:
            raise ValueError("at most 1000 iterations")


@pytest.mark.parametrize(
    ("assignment", "read", "expected"),
    [
        ("iterations=50", lambda s: s.iterations, 50),
        (" iterations = 50 ", lambda s: s.iterations, 50),
        ("early_stop=off", lambda s: s.early_stop, False),
        ("early_stop=TRUE", lambda s: s.early_stop, True),
        ("limit_m=0.25", lambda s: s.limit_m, 0.25),
        ("limit_m=none", lambda s: s.limit_m, None),
        ("stages=8,2,1e-1", lambda s: s.stages, (8.0, 2.0, 0.1)),
        ("stages=(3,)", lambda s: s.stages, (3.0,)),
        ("pair=4,5", lambda s: s.pair, (4, 5.0)),
        ("title=a=b", lambda s: s.title, "a=b"),
        ("speed=fast", lambda s: s.speed, Speed.FAST),
        ("mask.weight=0", lambda s: s.mask.weight, 0.0),
        ("mask.mode=union", lambda s: s.mask.mode, "union"),
        ("steps.0.count=7", lambda s: [step.count for step in s.steps], [7, 10]),
    ],
)
def test_values_are_read_as_the_declared_type(assignment, read, expected):
    """Each annotation reads its own kind of text."""
    value = read(apply_overrides(Settings(), [assignment]))
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("iterations", "has no '='"),
        ("=3", "key is missing"),
        ("iteration=3", "did you mean 'iterations'?"),
        ("mask.sigma=3", "did you mean 'mask.sigma_px'?"),
        ("sigma_px=3", "did you mean 'mask.sigma_px'?"),
        ("zzz=3", "the settings are iterations, "),
        ("mask=3", "no such setting"),
        ("iterations.x=3", "no such setting"),
        ("steps.2.count=3", "did you mean 'steps."),
        ("steps.0=3", "no such setting"),
        ("steps=3", "no such setting"),
        ("iterations=2.5", "whole number"),
        ("iterations=2000", "at most 1000 iterations"),
        ("early_stop=maybe", "true or false"),
        ("rate=fast", "give a number"),
        ("rate=nan", "finite"),
        ("rate=-inf", "finite"),
        ("mask.softness=1", "is no setting any more; the softness is that of the renderer"),
        ("silhouette.nothing=1", "--set silhouette.nothing: there is no such setting"),
        ("mask.mode=both", "one of modal, union"),
        ("speed=warp", "one of slow, fast"),
        ("pair=1", "give 2 items"),
        ("stages=1,x", "give a number"),
    ],
)
def test_bad_values_are_named(assignment, says):
    """A wrong key or value raises InputError that says which key and what is accepted."""
    with pytest.raises(InputError, match="--set") as caught:
        apply_overrides(Settings(), [assignment])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("mask.weight=-1", "settings: mask.weight: -1.0; a number from 0 to 1e+09"),
        ("mask.sigma_px=0", "settings: mask.sigma_px: 0.0; a number from 1e-09 to 1e+09"),
        ("pages=0", "settings: pages.0: 0; a whole number from 1 to 9"),
    ],
)
def test_numbers_are_held_to_the_range_of_their_field(assignment, says):
    """A number out of range is named with what its field declares, items of tuples too."""
    with pytest.raises(InputError) as caught:
        apply_overrides(Settings(), [assignment])
    assert str(caught.value) == says


@dataclass(frozen=True)
class Stage:
    name: str = "first"
    count: int = number(5, 1, 9)


@dataclass(frozen=True)
class Staged:
    OPEN: ClassVar[tuple[str, ...]] = ("parts",)
    stages: tuple[Stage, ...] = (Stage(), Stage("second"))
    parts: tuple[Stage, ...] = (Stage("wheel"),)


def test_items_are_reached_by_their_names():
    """What has a name is reached by it, or by its number; in an open tuple, as if it were a field."""
    assert known_keys(Staged()) == ["stages.first.count", "stages.second.count", "wheel.count"]
    for key, read in [
        ("stages.second.count", lambda s: s.stages[1].count),
        ("stages.1.count", lambda s: s.stages[1].count),
        ("wheel.count", lambda s: s.parts[0].count),
    ]:
        assert read(apply_overrides(Staged(), [f"{key}=7"])) == 7
    for key, named in [("stages.1.count", "stages.second.count"), ("wheel.count", "wheel.count")]:
        with pytest.raises(InputError) as caught:
            apply_overrides(Staged(), [f"{key}=0"])
        assert str(caught.value) == f"settings: {named}: 0; a whole number from 1 to 9"
    with pytest.raises(InputError, match="there is no such setting"):
        apply_overrides(Staged(), ["wheel.name=tyre"])


@pytest.mark.parametrize(
    ("assignment", "current", "read", "expected"),
    [
        ("steps_max=5", "iterations", lambda s: s.iterations, 5),
        ("mask.sigma_pixels=3", "mask.sigma_px", lambda s: s.mask.sigma_px, 3.0),
        ("mask.shape.mode=union", "mask.mode", lambda s: s.mask.mode, "union"),
        ("silhouette.weight=2", "mask.weight", lambda s: s.mask.weight, 2.0),
    ],
)
def test_old_keys_set_the_new_ones(assignment, current, read, expected):
    """A key that was renamed is still taken, alone or with all that begins with it; a warning names the new one."""
    old = assignment.partition("=")[0]
    with pytest.warns(UserWarning, match=f"--set {old}: this setting is called {current} now"):
        assert read(apply_overrides(Settings(), [assignment])) == expected


def test_keys_of_today_do_not_warn(recwarn):
    """Only old keys warn."""
    apply_overrides(Settings(), ["mask.weight=2", "iterations=3"])
    assert not recwarn.list


def test_the_original_is_left_alone_and_the_last_one_wins():
    """Overrides make a new object; a key given twice takes its last value."""
    settings = Settings()
    changed = apply_overrides(settings, ["rate=0.2", "mask.weight=3", "rate=0.3"])
    assert (changed.rate, changed.mask.weight, changed.mask.sigma_px) == (0.3, 3.0, 2.0)
    assert settings == Settings()


def test_known_keys_are_dotted_leaves():
    """The list of keys is the list of what can be set."""
    keys = known_keys(Settings())
    assert keys[0] == "iterations"
    assert keys[-5:] == ["mask.weight", "mask.sigma_px", "mask.mode", "steps.0.count", "steps.1.count"]
