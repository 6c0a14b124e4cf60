"""Tutorials: percent scripts of docs/tutorials, run when the site is built; they become pages with their output.

A script is a notebook as text: `jupytext --to ipynb docs/tutorials/month.py`; VS Code and PyCharm open it as it stands.
Cells begin with `# %%`, those of text with `# %% [markdown]`. What they print and draw is not kept in the repository.

python docs/run_tutorials.py [NAME ...]      # run them here, print the pages
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).resolve().parent / "tutorials"
ORDER = ("month", "policy", "train", "own_data", "negotiation", "headline", "published")
"""Tutorials in the order in which they are read."""
LINK = re.compile(r"\]\(([a-z_]+)\.py\)")


class Page(NamedTuple):
    """A tutorial that was run."""

    markdown: str
    figures: dict[str, bytes]  # name -> SVG


def cells(text: str) -> list[tuple[bool, str]]:
    """Return (is text, content) of every cell of a percent script."""
    found = []
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        kind, _, body = part.partition("\n")
        is_text = kind.strip() == "[markdown]"
        lines = [line.removeprefix("#").removeprefix(" ") if is_text else line for line in body.splitlines()]
        found.append((is_text, "\n".join(lines).strip()))
    return found


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(name: str) -> Page:
    """Run a tutorial in an empty folder and return its page; what a cell raises is raised."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parts: list[str] = []
    figures: dict[str, bytes] = {}
    scope: dict[str, object] = {"__name__": name}

    def show() -> None:
        buffer = io.BytesIO()
        plt.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close("all")
        figures[f"{name}-{len(figures) + 1}.svg"] = buffer.getvalue()

    source = SOURCES / f"{name}.py"
    shown, plt.show = plt.show, show
    try:
        with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)):
            for is_text, body in cells(source.read_text(encoding="utf-8")):
                if is_text:
                    parts.append(LINK.sub(r"](\1.md)", body))
                    continue
                drawn, said = list(figures), io.StringIO()
                with contextlib.redirect_stdout(said):
                    exec(compile(body, str(source), "exec"), scope)
                parts.append(f"```python\n{body}\n```")
                out = said.getvalue().rstrip()
                if out.startswith("|"):
                    parts.append(out)  # a table
                elif out:
                    parts.append(f"```text\n{out}\n```")
                parts += [f"![Figure of this step]({figure})" for figure in figures if figure not in drawn]
    finally:
        plt.show = shown
    where = f"This page is `docs/tutorials/{name}.py`, run when the site was built."
    return Page("\n\n".join([*parts, f"*{where}*"]) + "\n", figures)


def main() -> None:
    """Run tutorials and print what each took."""
    for name in sys.argv[1:] or ORDER:
        begin = time.process_time()
        print(run(name).markdown)
        print(f"{name}: {time.process_time() - begin:.1f} CPU seconds", file=sys.stderr)


if __name__ == "__main__":
    main()
