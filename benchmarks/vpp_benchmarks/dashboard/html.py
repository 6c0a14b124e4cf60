"""What the dashboard shows in the report's own style, and text that is nothing but text."""

from __future__ import annotations

import base64
import re
from html import escape

import streamlit as st

from vpp_benchmarks.report.style import COLORS, PARTS, scoped

SCOPE = ".vpp"
FONT = "svg{font-family:system-ui,sans-serif}"
SIZE = "width:100%;max-width:620px"


WRONG = "border-left:4px solid #c33;padding:.5rem .8rem;margin:.5rem 0;overflow-wrap:anywhere"


def plain(text: str) -> str:
    """Return text without what Streamlit takes for mark-up; an address in it still becomes a link."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def wrong(text: str) -> None:
    """Show what is wrong, to the letter: files hold what anybody wrote."""
    show(f'<div role="alert" style="{WRONG}">{escape(text)}</div>')


def show(html: str) -> None:
    """Show charts and tables of the report in its own style."""
    st.html(f'<style>{scoped(SCOPE)}</style><div class="{SCOPE[1:]}">{pictures(html)}</div>')


def pictures(html: str) -> str:
    """Return the HTML with every drawing as a picture with its style inside: Streamlit takes no inlined SVG."""

    def picture(match: re.Match[str]) -> str:
        drawing = match[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        drawing = drawing.replace(">", f"><style>{COLORS}{PARTS}{FONT}</style>", 1)
        code = base64.b64encode(drawing.encode()).decode()
        name = re.search(r'aria-label="([^"]*)"', drawing)
        return f'<img alt="{name[1] if name else ""}" src="data:image/svg+xml;base64,{code}" style="{SIZE}">'

    return re.sub(r"<svg .*?</svg>", picture, html, flags=re.DOTALL)
