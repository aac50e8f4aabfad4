"""What people look at: the overlay video, plots and the report page."""

from warpprior.report.overlay import write_overlay, write_sheet

__all__ = ["write_overlay", "write_sheet"]
