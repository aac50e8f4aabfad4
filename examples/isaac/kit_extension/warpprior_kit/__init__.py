"""The extension; outside Kit, only its logic (:mod:`warpprior_kit.logic`)."""

try:
    import omni.ext  # noqa: F401
except ImportError:  # no Kit: tests, and whoever drives the logic from a script of their own
    pass
else:
    from warpprior_kit.extension import Extension  # noqa: F401
