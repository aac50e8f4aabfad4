"""Verdicts on an estimate: which bodies are right in which frames, and how one can tell."""
