"""What each ingredient of the estimate is worth: the same scenes refined with parts left out, and a table."""

from warpprior.ablation.runs import ablate

__all__ = ["ablate"]
