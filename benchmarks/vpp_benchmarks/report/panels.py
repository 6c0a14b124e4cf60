"""Several things of one kind in little room: panels side by side with buttons, and pages of which one is shown."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

SHOWN = 4
"""Panels that are open at first; a button opens each of the others."""
BETWEEN = "\x1e"
"""Stands between the pages of a pack, and in none of them."""


def panels(made: Sequence[tuple[str, str]], name: str, grid: str = "grid2", shown: int = SHOWN) -> str:
    """Return panels (title, HTML) side by side; where not all are open at first, a button each opens or hides it."""
    buttons = "".join(
        f'<button type=button data-panel="{name}-{j}" aria-pressed={"true" if j < shown else "false"}>'
        f"{escape(title)}</button>"
        for j, (title, _) in enumerate(made)
    )
    boxes = "".join(
        f'<div id="{name}-{j}"{"" if j < shown else " hidden"}><h3>{escape(title)}</h3>{body}</div>'
        for j, (title, body) in enumerate(made)
    )
    bar = f'<div class="buttons noprint">{buttons}</div>' if len(made) > shown else ""
    return f"{bar}<div class={grid}>{boxes}</div>"


@dataclass(frozen=True)
class Pack:
    """Pages of one kind, of which one is shown at a time."""

    names: Sequence[str]  # what is chosen by
    pages: Sequence[str]  # HTML, one each
    first: int = 0  # the page that is shown at first

    def packed(self) -> str:
        """Return all pages in little room: gzip in base64, the choices first."""
        pages = [_options(self), *self.pages]
        text = BETWEEN.join(page.replace(BETWEEN, " ") for page in pages)
        return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def _options(pack: Pack) -> str:
    return "".join(
        f"<option value={j}{' selected' if j == pack.first + 1 else ''}>{escape(name)}</option>"
        for j, name in enumerate(pack.names, 1)
    )


def chosen(packs: Mapping[str, Pack], what: str) -> str:
    """Return a box that shows one page of one pack: a choice of packs (policies) where there are several, and of pages.

    All pages are in the box, packed; a few lines of `style.SCRIPT` unpack them. Without them the first page is there.
    """
    label, first = next(iter(packs.items()))
    options = "".join(f"<option>{escape(name)}</option>" for name in packs)
    which = f"<label>Policy: <select class=which>{options}</select></label>" if len(packs) > 1 else ""
    bar = (
        f"{which}<label>{escape(what)}: <select class=name>{_options(first)}</select></label>"
        "<button type=button class=back>Back</button><button type=button class=next>Next</button>"
    )
    data = "".join(f"<script type=text/plain>{pack.packed()}</script>" for pack in packs.values())
    title = f"<p class=note>{escape(label)}</p>" if len(packs) == 1 else ""
    page = f"<div class=page>{first.pages[first.first]}</div>"
    return f'<div class=pages>{title}<div class="buttons noprint">{bar}</div>{page}{data}</div>'
