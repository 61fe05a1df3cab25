"""mkdocs builds the site of the docs without a warning, and the site loads nothing from the network."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r'<(?:script|img|source|iframe|link rel="(?!canonical))[^>]*\b(?:src|srcset|href)="((?:https?:)?//[^"]*)"'
)
OMITTED = re.compile(r'not included in the "nav" configuration:\n((?: +- .*\n)*)')


@pytest.mark.filterwarnings("default:docs/")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """A page that the navigation lacks is a warning of this test, which pytest prints at the end."""
    build: list[str | Path] = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in re.findall(r"- (.*)", "".join(OMITTED.findall(done.stderr))):
        warnings.warn(f"docs/{page} is not in the navigation of the site: add it to `nav` in mkdocs.yml", stacklevel=1)
    pages = {path.stem: path.read_text() for path in (tmp_path / "site").glob("*.html")}
    assert pages.keys() - {"404"} == {"index", *(path.stem for path in (ROOT / "docs").glob("*.md"))}
    assert {name: LOADED.findall(text) for name, text in pages.items() if LOADED.search(text)} == {}
    assert 'src="pictures/summary.svg"' in pages["index"]
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()) < 200_000
