"""Surfaces from mesh files: one reader per format, and what they share, colours above all."""
