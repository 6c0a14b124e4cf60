"""Pages for what somebody brings: a scenario, prices and homes, an owner's statement; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from vpp_benchmarks.dashboard.source import MOST_CHARACTERS, READER, card_of, edited, findings
from vpp_env.errors import VppError
from vpp_env.scenario import load_scenario, scenario_names
from vpp_env.scenario.scenario import describe


def scenario(roots: Sequence[Path]) -> None:
    """A scenario of one's own: fields are changed, checked, and written as a TOML file."""
    st.title("Scenario")
    base = st.selectbox("Begin with", scenario_names(), scenario_names().index("august"), key="base")
    rows = pd.DataFrame(describe(load_scenario(base)), columns=["field", "value", "unit", "allowed", "source"])
    sections = sorted({field.split(".")[0] for field in rows["field"]})
    wanted = st.multiselect("Sections", sections, default=["fleet", "market", "time"], key="sections")
    shown = rows[rows["field"].str.split(".").str[0].isin(wanted)].reset_index(drop=True)
    after = st.data_editor(shown, hide_index=True, disabled=["field", "unit", "allowed", "source"], key=f"edit-{base}")
    changes = {f: str(v) for f, v, old in zip(after["field"], after["value"], shown["value"], strict=True) if v != old}
    name = st.text_input("Name", f"{base}-mine", key="name")
    try:
        made = edited(base, changes, name)
    except VppError as error:
        st.error(str(error))
        return
    st.success(f"{len(changes)} fields changed; {made.fleet.size} homes, {made.hours} h, hash {made.hash}")
    st.download_button(f"{name}.toml", made.to_toml(), f"{name}.toml", key="toml")
    st.caption(f"Then: vpp-env compare --scenario {name}.toml")


def data(roots: Sequence[Path]) -> None:
    """Prices and homes that somebody brings, and what the checker says of them."""
    st.title("Data")
    st.caption("Files are read on this machine and kept nowhere; formats: docs/market-data.md and docs/home-data.md.")
    what = st.radio("What is it?", ("prices", "homes"), horizontal=True, key="what")
    base = st.selectbox("It is to cover", scenario_names(), scenario_names().index("august"), key="covers")
    given = st.file_uploader("Files", accept_multiple_files=True, key="files")
    if not given:
        return
    try:
        found = findings({one.name: one.getvalue() for one in given}, what, base)
    except VppError as error:
        st.error(str(error))
        return
    st.success("It can be used; every series says where it is from.")
    st.dataframe(pd.DataFrame(found, columns=["series", "where it is from"]), hide_index=True)


def statement(roots: Sequence[Path]) -> None:
    """An owner's words, and the card that is read from them."""
    st.title("A statement and its card")
    st.caption("`scripted` is a program that knows phrases, not a language model; `gemini` and `openai` need a key.")
    given = st.file_uploader("A text file with an owner's statement", type=["txt"], key="upload")
    typed = st.text_area("or the text itself", max_chars=MOST_CHARACTERS, key="text")
    llm = st.text_input("Who reads it (as in llm='...')", READER, key="llm")
    text = given.getvalue().decode("utf-8", errors="replace") if given is not None else typed
    if st.button("Read", disabled=not text.strip()):
        try:
            st.json(card_of(text, llm))
        except VppError as error:
            st.error(str(error))
