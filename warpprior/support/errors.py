"""Errors a user can act on.  The command line prints their message on one line and exits with ``exit_code``."""


def one_line(text: object) -> str:
    """The text with line breaks, control characters and undecodable bytes written as escapes.

    Names of files and of arrays come from outside: they shall neither break a message in two nor move the cursor.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class WarppriorError(Exception):
    """Base of every error the project raises on purpose; its message is one printable line."""

    exit_code = 1

    def __init__(self, message: object = ""):
        super().__init__(one_line(message))


class InputError(WarppriorError):
    """Bad input or usage: says where, what was found, and what is accepted.

    Args:
        where: the file, frame or field at fault, for example ``"initial.npz: mug/rotation, frame 3"``.
        found: what was found there.
        accepted: what would be accepted, or how to mend it.
    """

    exit_code = 2

    def __init__(self, where: str, found: str, accepted: str):
        self.where, self.found, self.accepted = str(where), found, accepted
        super().__init__(f"{where}: {found}; {accepted}")


class RunError(WarppriorError):
    """Something failed while running; the best result so far, if any, was kept."""

    exit_code = 1


class MissingExtraError(WarppriorError):
    """An optional dependency is needed for what was asked."""

    exit_code = 2

    def __init__(self, what: str, extra: str):
        super().__init__(f"{what} needs an optional dependency: pip install 'warpprior[{extra}]'")
