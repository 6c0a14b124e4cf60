"""The script that Streamlit runs; started by `python -m vpp_benchmarks.dashboard`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import streamlit as st

from vpp_benchmarks.dashboard.pages import PAGES


def app(roots: list[Path]) -> None:
    """Show the page that was chosen."""
    st.set_page_config(page_title="vpp_env", layout="wide")
    pages = [
        st.Page(partial(page, roots), title=title, url_path=address, default=address == "progress")
        for address, (title, page) in PAGES.items()
    ]
    st.navigation(pages).run()


app([Path(argument) for argument in sys.argv[1:]])
