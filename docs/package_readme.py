"""The README as a package index shows it, where links into the repository must be absolute: a hook of Hatchling.

The address is `[project.urls]` Source; `.ci/wheel.py` looks into the wheel.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PackageReadme(MetadataHookInterface):
    """Adds the field `readme` to the package's metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Take the README of the repository, with absolute links."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, metadata["urls"]["Source"])}


def absolute(text: str, source: str) -> str:
    """Return Markdown whose links to files lead into the repository at `source`; pictures lead to their bytes."""

    def leads(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}]({source}/{'raw' if match[1] else 'blob'}/main/{match[3]})"

    return re.sub(r"(!?)(\[[^\]]*)\]\((?!https?:|mailto:|#)([^)\s]+)\)", leads, text)
