"""Files with a comment at each derived field."""

from pathlib import Path

import pytest

from tests.support import load_yaml
from vllm_constructs import VllmConstructsError
from vllm_constructs.cli.annotated import annotated_file

ROOT = Path(__file__).parents[2]
FILES = [*sorted(ROOT.glob("dist/*.yaml")), *sorted(ROOT.glob("examples/*/dist/*.yaml"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_same(path: Path, tmp_path: Path) -> None:
    """The comments change nothing, every line of the file is there, and none is too wide."""
    text = annotated_file(path)
    other = tmp_path / "a.yaml"
    other.write_text(text, encoding="utf-8")
    assert load_yaml(path) == load_yaml(other)
    lines = path.read_text(encoding="utf-8").splitlines()
    rest = iter(text.splitlines())
    assert all(line in rest for line in lines)
    added = [line for line in text.splitlines() if line.lstrip().startswith("# ")]
    assert max((len(line) for line in added), default=0) <= 100


def test_place() -> None:
    """A comment stands above its field, as far to the right."""
    lines = annotated_file(ROOT / "dist" / "qwen-7b.k8s.yaml").splitlines()
    at = lines.index("      enableServiceLinks: false")
    assert lines[at - 1].startswith("      # ")


def test_json(tmp_path: Path) -> None:
    """JSON has no comments."""
    path = tmp_path / "a.json"
    path.write_text('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}')
    with pytest.raises(VllmConstructsError, match="is JSON, which has no comments; give YAML"):
        annotated_file(path)
