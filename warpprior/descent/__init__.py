"""Gradient descent on the full energy: every term on one tape, Adam on the device."""
