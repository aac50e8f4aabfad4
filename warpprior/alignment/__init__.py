"""Gauss-Newton alignment of rigid bodies with their labels, over a whole sequence."""
