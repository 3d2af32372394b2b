"""Pictures of results: what a protocol designer puts on a slide.

`plot` draws rows on a matplotlib Axes, and `save` writes the picture. matplotlib is imported when the first one is
drawn, and its global state is never used, so that both work in threads and without a display.
"""

from sim.plotting.draw import KINDS, plot
from sim.plotting.save import save

__all__ = ["KINDS", "plot", "save"]
