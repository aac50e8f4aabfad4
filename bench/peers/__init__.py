"""Others' libraries measured beside our own code: the same data, one thread each, in turn, in one process.

``python -m warpprior.bench.peers``.  Each library is a file in ``libraries/``; none is a dependency of the project.
"""
