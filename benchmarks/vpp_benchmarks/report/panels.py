"""Several things of one kind in little room: panels side by side with buttons, and pages of which one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

SHOWN = 4
"""Panels that are open at first; a button opens each of the others."""


def panels(made: Sequence[tuple[str, str]], name: str, grid: str = "grid2", shown: int = SHOWN) -> str:
    """Return panels (title, HTML) side by side, with a button each that hides or shows it."""
    buttons = "".join(
        f'<button type=button data-panel="{name}-{j}" aria-pressed={"true" if j < shown else "false"}>'
        f"{escape(title)}</button>"
        for j, (title, _) in enumerate(made)
    )
    boxes = "".join(
        f'<div id="{name}-{j}"{"" if j < shown else " hidden"}><h3>{escape(title)}</h3>{body}</div>'
        for j, (title, body) in enumerate(made)
    )
    bar = f'<div class="buttons noprint">{buttons}</div>' if len(made) > 1 else ""
    return f"{bar}<div class={grid}>{boxes}</div>"
