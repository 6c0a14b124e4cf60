"""The picture of a cross-play: what each aggregator is worth above the first, by population of owners."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from vpp_benchmarks.report.overview import INK
from vpp_benchmarks.report.style import light_colors
from vpp_benchmarks.run.crossplay import CrossPlay


def matrix_figure(found: CrossPlay) -> bytes:
    """Draw bars with their 95 % intervals, a group for each population; the same bytes for the same figures.

    Returns
    -------
    bytes
        An SVG.
    """
    first = next(iter(found.names))
    above = [one for one in found.above if one.than == first]
    populations = list(above[0].by_population)
    width, color = 0.8 / len(above), light_colors(found.names)
    with matplotlib.rc_context({"svg.hashsalt": "crossplay", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(1.5 * len(populations) + 1.4, 3.4), facecolor="white")
        FigureCanvasSVG(figure)
        axis = figure.add_subplot()
        for j, one in enumerate(above):
            cells = [one.by_population[name] for name in populations]
            at = np.arange(len(cells)) + (j - 0.5 * (len(above) - 1)) * width
            label = found.names[one.policy]
            axis.bar(at, [c.value for c in cells], 0.9 * width, color=color[one.policy], label=label)
            for x, c in zip(at, cells, strict=True):
                if c.low is not None and c.high is not None:
                    axis.plot([x, x], [c.low, c.high], color=INK, lw=1.0)
        axis.axhline(0.0, color=INK, lw=0.6)
        axis.set_xticks(range(len(populations)), populations)
        axis.set_ylabel(f"USD of welfare above {found.names[first]}")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
        figure.tight_layout()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
