"""Readers of bodies' files."""
