"""The project's URLs, for the package's metadata: from the repository that publishes it.

.github/workflows/release.yml sets PROJECT_URL. Other builds have no URLs. A build from the published source takes them
from there.
"""

from __future__ import annotations

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "PROJECT_URL"


class UrlsHook(MetadataHookInterface):
    """Called by hatchling for each build."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the URLs."""
        home = os.environ.get(VARIABLE, "").rstrip("/")
        pages = {"Documentation": "/tree/main/docs", "Changelog": "/blob/main/CHANGELOG.md", "Issues": "/issues"}
        metadata["urls"] = {"Source": home} | {name: home + path for name, path in pages.items()} if home else {}
