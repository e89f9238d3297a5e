"""Project URLs in the metadata of the wheel, as hatchling asks for them.

No file names the address of the repository: the release workflow tells its own in
`PROJECT_REPOSITORY`. A wheel that is built elsewhere has no URLs.
"""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectUrls(MetadataHookInterface):
    """Adds the field `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set it from the variable of the workflow."""
        repository = os.environ.get("PROJECT_REPOSITORY")
        if not repository:
            metadata["urls"] = {}
            return
        metadata["urls"] = {
            "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
            "Documentation": f"{repository}/blob/HEAD/docs/index.md",
            "Issues": f"{repository}/issues",
            "Source": repository,
        }
