"""What the site needs beyond docs/: pages of the files that the documentation links to outside of it.

A link such as `../vpp_env/market/energy.py` leads to the file on a code host. On the site it leads to a page that holds
the same file, so that the site is whole by itself and needs no host.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from docs import run_tutorials

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)((?:#[^)]*)?)\)")
CODE = re.compile(r"`[^`\n]*`")
LANGUAGES = {".py": "python", ".toml": "toml", ".cff": "yaml"}


def page_of(path: Path) -> str:
    """Return where the site holds a file of the repository, relative to docs/."""
    if path.parent == run_tutorials.SOURCES:
        return f"tutorials/{path.stem}.md"
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs").as_posix()
    name = path.relative_to(ROOT).as_posix()
    return f"source/{name}" if path.suffix == ".md" else f"source/{name}.md"


def relinked(markdown: str, folder: Path, uri: str) -> str:
    """Return a page's text with its links to files of the repository led to their pages on the site.

    Parameters
    ----------
    markdown : str
        The text.
    folder : Path
        Where its links begin in the repository.
    uri : str
        Where the page lies on the site.
    """

    def led(link: re.Match[str]) -> str:
        target = (folder / link[1]).resolve()
        if not target.is_file() or not target.is_relative_to(ROOT):
            return link[0]  # left as it is: a link to nothing is the strict build's to report
        return f"]({os.path.relpath(page_of(target), Path(uri).parent)}{link[2]})"

    return LINK.sub(led, markdown)


def pipes(markdown: str) -> str:
    r"""Return a text whose tables say `a|b` in code: a code host wants `a\|b` there, this Markdown would show it."""
    lines = markdown.split("\n")
    return "\n".join(
        CODE.sub(lambda code: code[0].replace("\\|", "|"), line) if line.startswith("|") else line for line in lines
    )


def outside(markdown: str, folder: Path) -> set[Path]:
    """Return the files of the repository, outside docs/, that a text links to."""
    targets = {(folder / target).resolve() for target, _ in LINK.findall(markdown)}
    return {t for t in targets if t.is_file() and t.is_relative_to(ROOT) and not t.is_relative_to(ROOT / "docs")}


def source_page(path: Path) -> str:
    """Return the page of a file: Markdown as it is, anything else as code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return relinked(text, path.parent, page_of(path))
    head = f"---\nsearch:\n  exclude: true\nhide: [toc]\n---\n# `{path.relative_to(ROOT).as_posix()}`\n\n"
    return f"{head}````{LANGUAGES.get(path.suffix, 'text')}\n{text}````\n"


@cache
def tutorial_pages() -> dict[str, run_tutorials.Page]:
    """Return the pages of the tutorials, each run once a process."""
    return {name: run_tutorials.run(name) for name in run_tutorials.ORDER}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page of every file outside docs/ that a page links to."""
    from mkdocs.structure.files import File  # here, so that the links are tested where no site is built

    docs = ROOT / "docs"
    wanted: set[Path] = set()
    left = {(page.read_text(encoding="utf-8"), docs) for page in docs.glob("*.md")}
    while left:
        new = set().union(*(outside(text, folder) for text, folder in left)) - wanted
        wanted |= new
        left = {(path.read_text(encoding="utf-8"), path.parent) for path in new if path.suffix == ".md"}
    for path in sorted(wanted):
        files.append(File.generated(config, page_of(path), content=source_page(path)))
    for name, page in tutorial_pages().items():
        files.append(File.generated(config, f"tutorials/{name}.md", content=page.markdown))
        for figure, content in page.figures.items():
            files.append(File.generated(config, f"tutorials/{figure}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page of docs/ to the site's own pages; write its tables as this Markdown reads them."""
    uri = page.file.src_uri
    return markdown if uri.startswith("source/") else pipes(relinked(markdown, ROOT / "docs", uri))
