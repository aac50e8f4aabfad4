"""What a batch does when clips are bad and processes are killed: ``python -m warpprior.bench.batches``."""
