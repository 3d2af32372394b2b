"""The report: one HTML page with words, tables and figures, which needs nothing else.

`page` gives its text. The tables hold the numbers, and need no JavaScript; figures are drawn by plotly (extra
`report`), whose script is in the page, so that it works offline.
"""

from sim.plotting.report.page import page
from sim.plotting.report.subject import Account, Picture, Subject

__all__ = ["Account", "Picture", "Subject", "page"]
