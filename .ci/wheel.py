"""What a wheel and a source distribution hold: our three packages with their data, and nothing of the tests."""

import re
import sys
import tarfile
import zipfile

PACKAGES = ("vpp_env", "vpp_policies", "vpp_benchmarks")
DATA = (
    *(f"{name}/py.typed" for name in PACKAGES),
    "vpp_env/scenario/august.toml",
    "vpp_benchmarks/report/templates/sensitivity.json",
    "vpp_policies/llm/models.toml",
    "vpp_policies/llm/prompts/card.md",
    "vpp_policies/llm/cassettes/week20.sqlite",
)

wheel, source = sys.argv[1:]
names = zipfile.ZipFile(wheel).namelist()
top = {name.partition("/")[0] for name in names}
strange = {name for name in top if name not in PACKAGES and not name.endswith(".dist-info")}
assert not strange, f"{wheel} brings {strange}"
missing = [name for name in DATA if name not in names]
assert not missing, f"{wheel} lacks {missing}"
tests = [name for name in names if "test" in name.lower().split("/")[-1] or "/tests/" in name]
assert not tests, f"{wheel} brings {tests}"

(metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
readme = zipfile.ZipFile(wheel).read(metadata).decode()
links = re.findall(r"\]\(([^)#\s]+)", readme)
relative = [link for link in links if not link.startswith("https://")]
assert len(links) > 30, f"{wheel}: its description has {len(links)} links; is it the README?"
assert not relative, f"{wheel}: links of its description lead nowhere on a package index: {relative}"

with tarfile.open(source) as files:
    inside = {name.partition("/")[2] for name in files.getnames()}
for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "vpp_env/__init__.py", "tests/conftest.py"):
    assert name in inside, f"{source} lacks {name}"
hidden = [name for name in inside if name.startswith((".venv", "results", ".ci/", ".github"))]
assert not hidden, f"{source} brings {hidden}"
print(f"{len(names)} files in the wheel, {len(inside)} in the source distribution")
