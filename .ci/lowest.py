"""Print the lowest versions that pyproject.toml allows, as a constraints file for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
lines = [*project["dependencies"], *extras["bench"], *extras["gemini"]]  # not the tools of `dev`
for line in lines:
    if match := re.fullmatch(r"([\w.-]+)>=([\w.]+)", line):
        print(f"{match[1]}=={match[2]}")
