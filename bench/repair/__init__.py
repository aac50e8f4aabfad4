"""What ``warpprior repair`` makes of clips as published pipelines leave them: ``python -m warpprior.bench.repair``."""
