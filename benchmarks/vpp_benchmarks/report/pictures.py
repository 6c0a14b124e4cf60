"""Pictures of a run for pages outside the report: the ladder, a negotiation, a day of the fleet; each an SVG file.

The same run gives the same bytes. Colours follow the reader's dark mode where a page shows them as images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from vpp_benchmarks.report.answer import ladder_of
from vpp_benchmarks.report.conversation import conversations_of
from vpp_benchmarks.report.fleet import DAY_KEYS, busiest_panel
from vpp_benchmarks.report.home import Homes
from vpp_benchmarks.report.material import Material, read_material
from vpp_benchmarks.report.negotiation import OFFER_KEYS, rounds
from vpp_benchmarks.report.style import COLORS, PARTS
from vpp_benchmarks.results import store
from vpp_benchmarks.run.plan import PlanError

LADDER, NEGOTIATION, DAY = "ladder.svg", "negotiation.svg", "day.svg"
LINE, LETTER = 17, 6.3
"""Pixels of a line of a legend, and of a letter in it."""
FONT = "svg{font-family:system-ui,sans-serif;background:var(--paper)}"


def write_pictures(out: Path, folder: Path) -> list[Path]:
    """Write the pictures of the results in `out` to `folder`, those that its runs allow, and return their paths.

    Raises
    ------
    PlanError
        When the runs allow none.
    """
    made = pictures(read_material(out))
    if not made:
        raise PlanError(f"{str(out)!r}: no policy played a whole run, there is nothing to draw")
    store.make_folder(folder)
    for name, content in made.items():
        store.write_text(folder / name, content)
    return [folder / name for name in made]


def pictures(m: Material) -> dict[str, str]:
    """Return file name -> SVG."""
    made = {LADDER: standalone(drawn, ())} if (drawn := ladder_of(m)) else {}
    talks = conversations_of({run.label: Homes(run) for run in m.shown if "transcripts" in run.tables})
    asked = [read for one in talks.values() if (read := one.read(one.best)).rounds]
    if asked:
        made[NEGOTIATION] = standalone(rounds(max(asked, key=lambda read: len(read.rounds))), OFFER_KEYS)
    day = busiest_panel(m)
    return made | ({DAY: standalone(day, DAY_KEYS)} if day else {})


def standalone(html: str, keys: Sequence[tuple[str, str, str]]) -> str:
    """Return the first drawing of some HTML as a file, its legend inside: (text, CSS class, kind) as in `legend`."""
    found = re.search(r'<svg viewBox="0 0 (\d+) (\d+)"(.*?)>(.*)</svg>', html, flags=re.DOTALL)
    assert found is not None, "every figure holds a drawing"
    width, height, rest, body = int(found[1]), int(found[2]), found[3], found[4].split("</svg>")[0]
    x, y, legend = 10.0, height + 14.0, []
    for text, css, kind in keys:
        wide = 20 + LETTER * len(text) + 12
        if x + wide > width and x > 10.0:
            x, y = 10.0, y + LINE
        legend.append(_key(x, y, css, kind) + f'<text class="name" x="{x + 18:.1f}" y="{y:.1f}">{escape(text)}</text>')
        x += wide
    tall = round(y + 8) if keys else height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" width="{width}" height="{tall}"{rest}>'
        f"<style>{COLORS}{PARTS}{FONT}</style>{body}{''.join(legend)}</svg>\n"
    )


def _key(x: float, y: float, css: str, kind: str) -> str:
    if kind in ("line", "dash"):
        style = f"line {css} {kind if kind == 'dash' else ''}".rstrip()
        return f'<line class="{style}" x1="{x}" x2="{x + 14}" y1="{y - 4}" y2="{y - 4}"/>'
    if kind in ("dot", "ring"):
        return f'<circle class="{kind} {css}" cx="{x + 7}" cy="{y - 4}" r="4.5"/>'
    return f'<rect class="cell {css}" x="{x}" y="{y - 9}" width="14" height="10"/>'
