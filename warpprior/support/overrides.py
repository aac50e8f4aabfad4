"""Change single settings from text: ``apply_overrides(settings, ["contour.sigma_px=2"])`` as given to ``--set``.

A settings class may carry ``OLD_KEYS: ClassVar[dict[str, str]]``: keys that are called otherwise now, as seen from that
class, with dots where needed, one or several renamings ago.  The new key is set and a warning names it.  A key that
ends with a dot stands for all that begin with it; what is no key but a sentence refuses the old one, for one whose
meaning changed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
import warnings
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, TypeVar

from warpprior.support.errors import InputError
from warpprior.support.limits import check_ranges, named_items, open_fields

Settings = TypeVar("Settings")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def apply_overrides(settings: Settings, assignments: Iterable[str]) -> Settings:
    """A copy of ``settings`` with some values replaced; later assignments win.

    Args:
        settings: an instance of a dataclass; values that are dataclasses themselves are reached with dots, those in a
            tuple with their name, or their number: ``stages.fine.iterations``, ``stages.2.iterations``.
        assignments: texts ``key=value``.  A value is read as the type its field declares: ``true``/``false``, numbers,
            one of the choices, ``none`` where the field may be None, and items separated by commas for tuples.

    Returns:
        A new instance of the same class; ``settings`` is left alone.

    Raises:
        InputError: unknown key (with the nearest known one), a value of another type, a number that is not finite or
            out of the range that its field declares, or a value the settings class itself refuses.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or not key:
            raise InputError("--set", f"{assignment!r} has no '='" if not equals else "a key is missing", "key=value")
        known = known_keys(settings)
        key = _by_name(settings, key)
        key = key if key in known else _renamed(settings, key, known)
        settings = _replaced(settings, key.split("."), text, key, known)
        check_ranges(settings)
    return settings


def known_keys(settings: object) -> list[str]:
    """Every key ``apply_overrides`` accepts for these settings, dotted, in declaration order."""
    return [key for key, _ in _leaves(settings)]


def _renamed(settings: object, key: str, known: list[str]) -> str:
    """The key that an old one has become, with a warning; the key itself where it is no old one."""
    current = _follow(settings, key, known)
    if current is None:
        return key
    warnings.warn(f"--set {key}: this setting is called {current} now", stacklevel=4)
    return current


def _follow(settings: object, key: str, known: list[str]) -> str | None:
    """Where an old key leads, by one renaming or several; None where it leads nowhere."""
    for old, new in _old_keys(settings):
        if key != old and not (old.endswith(".") and key.startswith(old)):
            continue
        if " " in new:
            raise InputError(f"--set {key}", "is no setting any more", new)
        current = _by_name(settings, new + key.removeprefix(old) if old.endswith(".") else new)
        found = current if current in known else _follow(settings, current, known)
        if found is not None:
            return found
    return None


def _by_name(settings: object, key: str) -> str:
    """A dotted key with items of tuples by their names, where it has them by their numbers."""
    parts, value = [], settings
    for part in key.split("."):
        children = _children(value)
        if part.isdigit() and isinstance(value, tuple) and int(part) < len(value):
            part = [*children][int(part)]
        parts.append(part)
        value = children.get(part)
    return ".".join(parts)


def _old_keys(settings: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Old and new dotted keys of the settings and of those inside them."""
    for old, new in getattr(type(settings), "OLD_KEYS", {}).items():
        yield prefix + old, new if " " in new else prefix + new
    for name, value in _children(settings).items():
        yield from _old_keys(value, f"{prefix}{name}.")


def _children(value: object) -> dict[str, Any]:
    """What a dot leads to: fields of a dataclass, items of a tuple of dataclasses by name or number; else nothing.

    Items of a tuple that its dataclass names in ``OPEN`` are reached as if they were fields.  A field ``name`` is what
    its dataclass is reached by, and no setting.
    """
    if dataclasses.is_dataclass(value):
        found = {}
        for field in dataclasses.fields(value):
            if field.name == "name":
                continue
            child = getattr(value, field.name)
            found.update(_children(child) if field.name in open_fields(value) else {field.name: child})
        return found
    if isinstance(value, tuple) and value and all(dataclasses.is_dataclass(item) for item in value):
        return dict(named_items(value))
    return {}


def _leaves(settings: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in _children(settings).items():
        if _children(value):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _replaced(settings: Any, path: list[str], text: str, key: str, known: list[str]) -> Any:
    name, rest = path[0], path[1:]
    children = _children(settings)
    nested = bool(_children(children.get(name)))
    if name not in children or nested != bool(rest):
        raise InputError(f"--set {key}", "there is no such setting", _suggestion(key, known))
    if isinstance(settings, tuple):
        index = [*children].index(name)
        return (*settings[:index], _replaced(settings[index], rest, text, key, known), *settings[index + 1 :])
    for opened in open_fields(settings):
        if name in _children(getattr(settings, opened)):
            items = _replaced(getattr(settings, opened), path, text, key, known)
            return dataclasses.replace(settings, **{opened: items})
    if nested:
        value = _replaced(children[name], rest, text, key, known)
    else:
        value = _parse(text, typing.get_type_hints(type(settings))[name], key)
    try:
        return dataclasses.replace(settings, **{name: value})
    except (ValueError, TypeError) as error:
        raise InputError(f"--set {key}", f"{text!r} is refused", str(error)) from error


def _suggestion(key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not nearest:  # perhaps only the last part is right
        nearest = [name for name in known if name.split(".")[-1] == key.split(".")[-1]][:1]
    return f"did you mean {nearest[0]!r}?" if nearest else f"the settings are {', '.join(known)}"


def _parse(text: str, kind: Any, key: str) -> Any:
    """``text`` as a value of the annotated type ``kind``."""
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if type(None) in choices and text.lower() in ("none", ""):
            return None
        return _parse_any(text, [choice for choice in choices if choice is not type(None)], key)
    if origin is typing.Literal:
        by_text = {str(choice): choice for choice in choices}
        if text not in by_text:
            raise InputError(f"--set {key}", repr(text), f"give one of {', '.join(by_text)}")
        return by_text[text]
    if origin in (tuple, list):
        items = [item.strip() for item in text.strip("()[]").split(",") if item.strip()]
        kinds = choices if origin is tuple and choices[-1:] != (Ellipsis,) else [choices[0]] * len(items)
        if len(items) != len(kinds):
            raise InputError(f"--set {key}", f"{len(items)} items", f"give {len(kinds)} items separated by commas")
        return origin(_parse(item, item_kind, key) for item, item_kind in zip(items, kinds, strict=True))
    if isinstance(kind, type) and issubclass(kind, Enum):
        by_text = {member.name.lower(): member for member in kind}
        if text.lower() not in by_text:
            raise InputError(f"--set {key}", repr(text), f"give one of {', '.join(by_text)}")
        return by_text[text.lower()]
    return _parse_scalar(text, kind, key)


def _parse_any(text: str, kinds: list[Any], key: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _parse(text, kind, key)
        except InputError:
            continue
    return _parse(text, kinds[-1], key)


def _parse_scalar(text: str, kind: Any, key: str) -> Any:
    if kind is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise InputError(f"--set {key}", repr(text), "give true or false")
        return text.lower() in _TRUE
    if kind is str:
        return text
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise InputError(f"--set {key}", repr(text), "give a whole number") from None
    if kind is float:
        try:
            value = float(text)
        except ValueError:
            raise InputError(f"--set {key}", repr(text), "give a number") from None
        if not math.isfinite(value):
            raise InputError(f"--set {key}", repr(text), "give a finite number")
        return value
    raise InputError(f"--set {key}", "this setting is not a number, text or choice", "set it from Python")
