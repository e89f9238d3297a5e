"""Project URLs in the metadata of the wheel, as hatchling asks for them.

No file names the address of the repository: the wheel that a forge's workflow builds is of the
repository whose address the workflow tells. A wheel that is built elsewhere has no URLs.
"""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectUrls(MetadataHookInterface):
    """Adds the field `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set it from the variables of the workflow."""
        parts = [os.environ.get(f"GITHUB_{one}") for one in ("SERVER_URL", "REPOSITORY")]
        if not all(parts):
            metadata["urls"] = {}
            return
        repository = "/".join(filter(None, parts))
        metadata["urls"] = {
            "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
            "Documentation": f"{repository}/blob/HEAD/docs/index.md",
            "Issues": f"{repository}/issues",
            "Source": repository,
        }
