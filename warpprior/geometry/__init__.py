"""Surfaces in space: signed distance, closest points, samples of a surface, and how contacts carry an object."""
