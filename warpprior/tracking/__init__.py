"""Tracking: an error-state filter of hands and the objects they hold, its dynamics, sensors and smoother."""
