"""How well verdicts tell right from wrong, over simulated faults."""
