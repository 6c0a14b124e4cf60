"""A few lines of SVG (scales, axes, lines, areas, points) and HTML (tables, lists).

Numbers go in, text comes out; every text is escaped here. Colours are CSS classes, so that the page's theme applies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH = 460
"""Pixels of a chart at its natural size: readable on a telephone, two beside each other on a desk."""
PAD = (60, 12, 16, 34)
"""Left, top, right, bottom."""


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round values inside [low, high]."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    raw = span / count
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(base * m for m in (1, 2, 2.5, 5, 10) if base * m >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def days(last: int) -> list[float]:
    """Return round whole days from the first to the last of a run."""
    return [day for day in ticks(1.0, float(max(last, 2))) if day.is_integer()]


def label(value: float) -> str:
    """Write a tick: thousands separators, no needless zeros."""
    return f"{value:,.6g}"


def extent(values: Iterable[float], margin: float = 0.06, zero: bool = False) -> tuple[float, float]:
    """Return the range of the finite values with a margin; never empty."""
    finite = [v for v in values if math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    span = (high - low) or abs(high) or 1.0
    return low - margin * span * (not (zero and low == 0.0)), high + margin * span


class Plot:
    """One chart.

    Parameters
    ----------
    x, y : (float, float)
        Ranges of the axes.
    title : str
        What a screen reader says.
    height : int
        Pixels.
    """

    def __init__(self, x: tuple[float, float], y: tuple[float, float], title: str, height: int = 220) -> None:
        self.x, self._y, self._title, self._height = x, y, title, height
        self._parts: list[str] = []
        self.left, self.top = PAD[0], PAD[1]
        self.right, self.bottom = WIDTH - PAD[2], height - PAD[3]

    def px(self, value: float) -> float:
        """Pixel of an x value."""
        low, high = self.x
        return round(self.left + (value - low) / (high - low) * (self.right - self.left), 1)

    def py(self, value: float) -> float:
        """Pixel of a y value."""
        low, high = self._y
        return round(self.bottom - (value - low) / (high - low) * (self.bottom - self.top), 1)

    def axes(
        self,
        xlabel: str = "",
        ylabel: str = "",
        xticks: Sequence[float] | None = None,
        yticks: Sequence[float] | None = None,
        write: Callable[[float], str] = label,
    ) -> Plot:
        """Draw grid, ticks and names."""
        for v in ticks(*self._y) if yticks is None else yticks:
            y = self.py(v)
            self._parts.append(f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{y}" y2="{y}"/>')
            self.text(self.left - 6, y + 4, label(v), "tick end")
        for v in ticks(*self.x) if xticks is None else xticks:
            self.text(self.px(v), self.bottom + 15, write(v), "tick mid")
        self._parts.append(
            f'<line class="axis" x1="{self.left}" x2="{self.right}" y1="{self.bottom}" y2="{self.bottom}"/>'
        )
        if xlabel:
            self.text((self.left + self.right) / 2, self._height - 3, xlabel, "name mid")
        if ylabel:
            y = (self.top + self.bottom) / 2
            turned = f'transform="rotate(-90 11 {y:.1f})"'
            self._parts.append(f'<text class="name mid" x="11" y="{y:.1f}" {turned}>{escape(ylabel)}</text>')
        return self

    def upright(self, marks: Sequence[float], xlabel: str) -> None:
        """Draw lines up from marks of the x axis, with their values below."""
        for v in marks:
            x = self.px(v)
            self._parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{self.top}" y2="{self.bottom}"/>')
            self.text(x, self.bottom + 15, label(v), "tick mid")
        self.text((self.left + self.right) / 2, self._height - 3, xlabel, "name mid")

    def text(self, x: float, y: float, text: str, css: str = "") -> None:
        """Write text at pixels."""
        self._parts.append(f'<text class="{css}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')

    def line(self, xs: Sequence[float], ys: Sequence[float], css: str, step: bool = False, tip: str = "") -> None:
        """Draw a line; gaps where a value is not finite; `step` holds every value up to the next x."""
        path, pen = [], "M"
        last: float | None = None
        for x, y in zip(xs, ys, strict=True):
            if not math.isfinite(y):
                pen, last = "M", None
                continue
            if step and last is not None:
                path.append(f"L{self.px(x)} {self.py(last)}")
            path.append(f"{pen}{self.px(x)} {self.py(y)}")
            pen, last = "L", y
        self._parts.append(f'<path class="line {css}" d="{"".join(path)}">{_tip(tip)}</path>')

    def area(
        self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], css: str, step: bool = False
    ) -> None:
        """Fill between two curves."""
        if step:
            xs = np.repeat(xs, 2)[1:].tolist()
            low, high = np.repeat(low, 2)[:-1].tolist(), np.repeat(high, 2)[:-1].tolist()
        up = [f"{self.px(x)} {self.py(y)}" for x, y in zip(xs, high, strict=True)]
        down = [f"{self.px(x)} {self.py(y)}" for x, y in zip(reversed(xs), reversed(low), strict=True)]
        self._parts.append(f'<path class="area {css}" d="M{"L".join([*up, *down])}Z"/>')

    def segment(self, a: tuple[float, float], b: tuple[float, float], css: str, tip: str = "") -> None:
        """Draw a straight line between two values."""
        where = f'x1="{self.px(a[0])}" y1="{self.py(a[1])}" x2="{self.px(b[0])}" y2="{self.py(b[1])}"'
        self._parts.append(f'<line class="line {css}" {where}>{_tip(tip)}</line>')

    def point(self, x: float, y: float, css: str, hollow: bool = False, tip: str = "", radius: float = 6) -> None:
        """Draw a dot."""
        kind = "ring" if hollow else "dot"
        where = f'cx="{self.px(x)}" cy="{self.py(y)}" r="{radius}"'
        self._parts.append(f'<circle class="{kind} {css}" {where}>{_tip(tip)}</circle>')

    def box(
        self, x: tuple[float, float], y: tuple[float, float], css: str, opacity: float = 1.0, tip: str = ""
    ) -> None:
        """Fill a rectangle between two x and two y values."""
        left, right, top, bottom = self.px(x[0]), self.px(x[1]), self.py(y[1]), self.py(y[0])
        where = f'x="{left}" y="{top}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
        self._parts.append(f'<rect class="{css}" {where} fill-opacity="{opacity:.3f}">{_tip(tip)}</rect>')

    def svg(self) -> str:
        """Return the chart."""
        head = f'<svg viewBox="0 0 {WIDTH} {self._height}" role="img" aria-label="{escape(self._title, quote=True)}">'
        return head + "".join(self._parts) + "</svg>"


@dataclass(frozen=True)
class Bar:
    """A row of a chart of bars."""

    label: str
    value: float
    css: str
    text: str  # what stands behind it
    interval: tuple[float, float] | None = None
    start: float = 0.0
    strong: bool = False


def bars(rows: Sequence[Bar], title: str, unit: str, left: int = 118, least: float | None = None) -> str:
    """Draw bars, a row each; a bar that reaches below `least` is cut there, and its text says how far it goes."""
    right, tall = 96, 24
    ends = [v for r in rows for v in (r.value, r.start, *(r.interval or ())) if least is None or v >= least]
    low, high = extent([*ends, 0.0], 0.03)
    low = min(low, least if least is not None and any(r.value < least for r in rows) else low)
    plot = Plot((low, high), (-float(len(rows)), 0.0), title, 40 + tall * len(rows))
    plot.left, plot.right, plot.top, plot.bottom = left, WIDTH - right, 4, 4 + tall * len(rows)
    plot.upright(ticks(low, high, 4), unit)
    plot.segment((0.0, 0.0), (0.0, -float(len(rows))), "zero")
    for j, r in enumerate(rows):
        a, b = (max(v, low) for v in sorted((r.start, r.value)))
        plot.box((a, b), (-j - 0.8, -j - 0.2), f"{r.css} cell", tip=f"{r.label}: {r.text}")
        if r.interval is not None:
            plot.segment((max(r.interval[0], low), -j - 0.5), (max(r.interval[1], low), -j - 0.5), "ink whisker")
        plot.text(left - 7, plot.py(-j - 0.5) + 4, short(r.label, 1 + left // 7), "end strong" if r.strong else "end")
        cut = "\u25c2 " if min(r.value, r.start) < low else ""
        plot.text(plot.px(max(b, *(r.interval or (b,)))) + 5, plot.py(-j - 0.5) + 4, cut + r.text, "tick")
    return f"<figure>{plot.svg()}</figure>"


def short(text: str, most: int) -> str:
    """Cut a long name."""
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def legend(entries: Sequence[tuple[str, str, str]]) -> str:
    """Return a legend in HTML: (text, CSS class, kind); kinds are box, line, dash, dot, ring."""
    items = (f'<li><i class="key {kind} {css}"></i>{escape(text)}</li>' for text, css, kind in entries)
    return f'<ul class="legend">{"".join(items)}</ul>'


POLICY_COLORS = ("c0", "c1", "c2", "c3", "c4", "c5", "c6", "c8", "c9", "c10")
NOTHING = ("idle", "c7")
"""The policy that does nothing is grey everywhere."""


def colors(labels: Iterable[str]) -> dict[str, str]:
    """Return every policy's CSS class by label: the same in all charts that are given the same labels in order."""
    others = [label for label in labels if label != NOTHING[0]]
    return {NOTHING[0]: NOTHING[1]} | {k: POLICY_COLORS[j % len(POLICY_COLORS)] for j, k in enumerate(others)}


def swatch(css: str) -> str:
    """Return the key of a policy, to stand before its name."""
    return f'<i class="key {css}"></i>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1, cards: bool = False) -> str:
    """Return an HTML table that scrolls inside itself where it is too wide; with `cards` a telephone shows cards.

    A cell that is `Markup` is put in as it is; every other is escaped.
    """

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{_data_label(header[j]) if cards and j and tag == 'td' else ''}"
            f"{'' if j < text_columns else ' class=n'}>{markup(cell)}</{tag}>"
            for j, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    kind = " class=cards" if cards else ""
    return (
        f'<div class="wide"><table{kind}><thead><tr>{cells(header, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _data_label(name: str) -> str:
    return f' data-l="{escape(name, quote=True)}"'


class Markup(str):
    """Text that is HTML already, made by us; what comes from outside is plain `str` and is escaped."""

    __slots__ = ()


def markup(text: object) -> str:
    """Return text as HTML: escaped, unless it is `Markup`."""
    return text if isinstance(text, Markup) else escape(str(text))


def bullets(lines: Iterable[str], css: str = "said") -> str:
    """Return a list."""
    return f'<ul class="{css}">' + "".join(f"<li>{code(line)}</li>" for line in lines) + "</ul>"


def code(line: str) -> str:
    """Return a line as HTML, what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", markup(line))
