"""Damaged and hostile files of every format that is read, by the thousand: ``python -m tests.fuzz``, ``make fuzz``.

Small files of our own making (``seeds``) are changed at random (``mutators``, one set per family of formats) and given
to the public readers (``formats``) by processes with limits on time and memory (``worker``), which are watched and
started again where they crash or hang (``campaign``).  The same seed gives the same files.
"""
