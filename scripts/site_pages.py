"""What mkdocs calls: README.md becomes the first page, and links out of docs/ lead to the repository.

The same links work on GitHub. Without PROJECT_URL, the repository is unknown: of such a link, the text remains.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)\[([^][]*)\]\(([^)#:]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the first page."""
    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Change the links of one page."""
    directory = "." if page.file.src_uri == "index.md" else "docs"

    def changed(link: re.Match[str]) -> str:
        image, text, target, anchor = link.groups(default="")
        path = os.path.normpath(f"{directory}/{target}")
        if path == "README.md":
            return f"[{text}](index.md{anchor})"
        if path.startswith("docs/"):
            return f"{image}[{text}]({path.removeprefix('docs/')}{anchor})"
        return f"[{text}]({config.repo_url}/blob/main/{path}{anchor})" if config.repo_url else text

    return LINK.sub(changed, markdown)
