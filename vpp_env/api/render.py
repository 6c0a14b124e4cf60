"""The month so far, as a picture or a line of text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vpp_env.api.session import Session
from vpp_env.errors import VppError, needs

RENDER_MODES = ["rgb_array", "ansi"]


def check_mode(mode: str | None) -> None:
    """Raise `VppError` where nothing can be shown so."""
    if mode is not None and mode not in RENDER_MODES:
        raise VppError(f"render_mode: got {mode!r}; allowed is {', '.join(map(repr, RENDER_MODES))}, or None")


def render(session: Session, mode: str | None) -> NDArray[np.uint8] | str | None:
    """Show the month so far: "rgb_array" a picture, "ansi" one line of text, None nothing."""
    if mode == "rgb_array":
        return rgb_month(session)
    return session.line() if mode == "ansi" else None


def rgb_month(session: Session, width: int = 900, height: int = 540) -> NDArray[np.uint8]:
    """Draw price, metered power, stored energy and profit of the month so far; (height, width, 3) uint8."""
    # drawing is asked for by few: matplotlib is imported when it is
    with needs('render_mode="rgb_array"'):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(4, 1, sharex=True)
    data = np.array(session.history, dtype=np.float64).reshape(-1, 4)
    hours = (np.arange(len(data)) + 1) * session.scenario.time.opportunity_minutes / 60
    series = (
        (1000 * data[:, 0], "real-time price\nUSD/MWh", "#444444"),
        (data[:, 1], "to the market\nkW", "#0072B2"),
        (data[:, 2], "in batteries\nkWh", "#009E73"),
        (np.cumsum(data[:, 3]), "VPP profit\nUSD", "#D55E00"),
    )
    for axis, (values, label, color) in zip(axes, series, strict=True):
        axis.plot(hours, values, color=color, linewidth=1.2, drawstyle="steps-pre")
        axis.set_ylabel(label, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("hours since the start", fontsize=8)
    axes[-1].set_xlim(0, session.scenario.hours)
    figure.suptitle(session.line(), fontsize=9)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
