"""What people look at: the overlay video, plots and the report page."""

from warpprior.report.overlay import write_overlay, write_sheet
from warpprior.report.page import write_report
from warpprior.report.plots import write_plots

__all__ = ["write_overlay", "write_plots", "write_report", "write_sheet"]
