"""Old names of arguments that still work: each is taken with a warning that says the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TypeVar

Class = TypeVar("Class", bound=type)


def renamed_fields(**renamed: str) -> Callable[[Class], Class]:
    """A class decorator for dataclasses: ``old="new"`` takes ``old`` as an argument and as an attribute.

    Both warn (DeprecationWarning) and name the new field.  Given beside the new name, the old one counts: so
    ``dataclasses.replace``, which hands over every field, takes old names, too.
    """

    def decorate(cls: Class) -> Class:
        plain = cls.__init__

        @functools.wraps(plain)
        def init(self, *values, **named):
            for old, new in renamed.items():
                if old in named:
                    _warn(cls, old, new)
                    named[new] = named.pop(old)
            plain(self, *values, **named)

        setattr(cls, "__init__", init)  # noqa: B010 - which a type checker lets pass
        for old, new in renamed.items():
            setattr(cls, old, _old_attribute(cls, old, new))
        return cls

    return decorate


def _old_attribute(cls: type, old: str, new: str) -> property:
    def read(self):
        _warn(cls, old, new)
        return getattr(self, new)

    return property(read, doc=f"The old name of :attr:`{new}`.")


def _warn(cls: type, old: str, new: str) -> None:
    text = f"{cls.__name__}.{old} is now called {new}"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
