"""How a refinement grows with frames, pixels, faces and bodies: ``python -m warpprior.bench.scaling``."""
