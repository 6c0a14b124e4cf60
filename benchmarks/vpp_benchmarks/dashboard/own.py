"""Pages for what somebody brings: a scenario, prices and homes, an owner's statement; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from vpp_benchmarks.dashboard.html import plain, show, wrong
from vpp_benchmarks.dashboard.source import MOST_CHARACTERS, READER, card_of, edited, findings
from vpp_benchmarks.report.svg import table
from vpp_benchmarks.run.plan import file_name
from vpp_env.errors import VppError
from vpp_env.scenario import load_scenario, scenario_names
from vpp_env.scenario.scenario import describe


def scenario(roots: Sequence[Path]) -> None:
    """A scenario of one's own: fields are changed, checked, and written as a TOML file."""
    st.title("Scenario")
    base = st.selectbox("Begin with", scenario_names(), scenario_names().index("august"), key="base")
    rows = {field: rest for field, *rest in describe(load_scenario(base))}
    wanted = st.multiselect("Fields to change", list(rows), placeholder="type a part of a name", key=f"fields-{base}")
    changes: dict[str, str] = {}
    for field in wanted:
        value, unit, allowed, source = rows[field]
        limits = f"; allowed: {allowed}" if allowed else ""
        changes[field] = st.text_input(field, value, key=f"{base}-{field}")
        st.caption(plain(f"{unit}{limits}. In {base}: {value} ({source})"))
    name = st.text_input("Name", f"{base}-mine", key=f"name-{base}")
    try:
        made = edited(base, changes, name)
    except VppError as error:
        wrong(str(error))
    else:
        changed = sum(changes[field].strip() != rows[field][0] for field in changes)
        st.success(f"{changed} fields changed; {made.fleet.size} homes, {made.hours} h, hash {made.hash}")
        file = f"{file_name(made.name)}.toml"
        st.download_button(plain(file), made.to_toml(), file, key="toml")
        st.code(f"vpp-env compare --scenario {file}", language=None)
    with st.expander(f"All {len(rows)} fields of {base}"):
        show(
            table(["field", "value", "unit", "allowed", "source"], [(field, *rest) for field, rest in rows.items()], 5)
        )


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
        with st.spinner("Reading the files"):
            found = findings([(one.name, one.getvalue()) for one in given], what, base)
    except VppError as error:
        wrong(str(error))
        return
    st.success("It can be used; every series says where it is from.")
    show(table(["series", "where it is from"], found, text_columns=2))


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
            wrong(str(error))
