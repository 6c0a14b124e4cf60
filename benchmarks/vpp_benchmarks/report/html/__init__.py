"""`report.html`: one self-contained file, drawn as inlined SVG from run folders and summaries, no network."""

from vpp_benchmarks.report.html.page import report_page, write_report

__all__ = ["report_page", "write_report"]
