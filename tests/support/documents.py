"""YAML files, read so that nothing gets lost unnoticed."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.CSafeLoader):
    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - the signature is PyYAML's
    ) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping",
                    node.start_mark,
                    f"the key {key!r} stands here twice",
                    key_node.start_mark,
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: str | Path) -> list[dict[str, Any]]:
    """Read the objects of a YAML file.

    Args:
        path: The file.

    Returns:
        Its documents, without the empty ones.

    Raises:
        yaml.YAMLError: If it is not YAML, or a key stands in a mapping twice.
        ValueError: If a document is not a mapping.
    """
    text = Path(path).read_text(encoding="utf-8")
    documents = [one for one in yaml.load_all(text, _Loader) if one is not None]
    for one in documents:
        if not isinstance(one, dict):
            raise ValueError(f"{path}: a document is a {type(one).__name__}, not an object")  # noqa: TRY004 - the file is wrong, not the argument
    return documents
