"""Snapshots as YAML files, which can be read, and applied to a cluster, as they are."""

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode


class _Yaml(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT
    file_extension = "yaml"


@pytest.fixture
def rendered(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """The YAML that is kept of a test."""
    return snapshot.use_extension(_Yaml)
