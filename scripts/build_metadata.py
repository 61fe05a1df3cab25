"""What the package's metadata takes from the repository that publishes it: URLs, and README.md's links and picture.

.github/workflows/release.yml sets PROJECT_URL. Other builds have no URLs, and README.md as it is. A build from the
published source takes them from there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "PROJECT_URL"
README = Path(__file__).resolve().parents[1] / "README.md"


class RepositoryHook(MetadataHookInterface):
    """Called by hatchling for each build."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the URLs and the description."""
        home = os.environ.get(VARIABLE, "").rstrip("/")
        pages = {"Documentation": "/tree/main/docs", "Changelog": "/blob/main/CHANGELOG.md", "Issues": "/issues"}
        metadata["urls"] = {"Source": home} | {name: home + path for name, path in pages.items()} if home else {}
        metadata["readme"] = {"content-type": "text/markdown", "text": with_whole_links(README.read_text(), home)}


def with_whole_links(text: str, home: str) -> str:
    """Markdown for a place outside of the repository, such as PyPI: links lead into it, pictures come from it."""
    if not home:
        return text
    pictures = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\1{home}/raw/main/", text)
    return re.sub(r"(\]\()(?!https?:|#)", rf"\1{home}/blob/main/", pictures)
