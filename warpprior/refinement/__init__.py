"""Refinement of a whole sequence: the start, hypotheses, Gauss-Newton, Adam, and the run that joins them."""
