"""What ``.ci/gpu.py`` runs on a machine with a GPU, a part at a time: ``python -m warpprior.bench.gpu PART``."""
