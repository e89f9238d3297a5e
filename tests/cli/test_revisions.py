"""Files of git revisions."""

import subprocess
from pathlib import Path

import pytest

from vllm_constructs import VllmConstructsError
from vllm_constructs.cli import revisions

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def git(*arguments: str) -> None:
    """Run git in the current folder."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, *arguments], check=True)  # noqa: S607  # whichever there is


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two revisions, as the current folder."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    (tmp_path / "dist" / "more").mkdir(parents=True)
    (tmp_path / "dist" / "a.yaml").write_text(CONFIG % "a", encoding="utf-8")
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "dist" / "b é.yml").write_text(CONFIG % "b", encoding="utf-8")
    (tmp_path / "dist" / "more" / "c.json").write_text(
        '{"kind": "ConfigMap", "metadata": {"name": "c"}}', encoding="utf-8"
    )
    (tmp_path / "dist" / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "dist" / "bad.txt").write_bytes(b"\xff")
    git("add", ".")
    git("commit", "-qm", "two")
    git("tag", "-am", "v1", "v1")
    return tmp_path


def names(given: str) -> list[str]:
    """The names of the objects."""
    return [one["metadata"]["name"] for one in revisions.read(given).objects]


def refusal(given: str) -> str:
    """Why it cannot be read."""
    with pytest.raises(VllmConstructsError) as found:
        revisions.read(given)
    return str(found.value)


@pytest.mark.usefixtures("repository")
class TestRead:
    """Objects of a revision."""

    def test_folder(self) -> None:
        """All files of YAML and JSON in a folder and below, at that revision."""
        assert ["a"] == names("HEAD~1:dist")
        assert ["a", "b", "c"] == names("HEAD:dist")
        assert ["a", "b", "c"] == names("HEAD:")
        assert ["a", "b", "c"] == names("v1:dist/")
        assert "HEAD:dist/b é.yml" == revisions.read("HEAD:dist").origins[1].file

    def test_file(self) -> None:
        """One file, also of the current folder."""
        assert ["c"] == names("HEAD:dist/more/c.json")
        assert ["a"] == names("HEAD:./dist/a.yaml")

    def test_below(self, monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
        """A path is from the top, or from the current folder with a dot."""
        monkeypatch.chdir(repository / "dist")

        assert ["a"] == names("HEAD~1:dist")
        assert ["a"] == names("HEAD~1:./a.yaml")

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("HEAD:none", "nor a path in a git revision"),
            ("none:dist", "nor a path in a git revision"),
            ("--output=x:dist", "nor a path in a git revision"),
            ("HEAD:dist/bad.txt", "is not text in UTF-8"),
            ("v1", "is a tag of git"),
        ],
    )
    def test_refused(self, given: str, words: str) -> None:
        """What is not there, or no text."""
        assert words in refusal(given)

    def test_empty(self, repository: Path) -> None:
        """A folder without manifests."""
        git("rm", "-rq", "dist/more", "dist/a.yaml", "dist/b é.yml")
        git("commit", "-qm", "three")

        assert repository.is_dir()
        assert "has no YAML or JSON files" in refusal("HEAD:dist")


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a repository, or without git, there are no revisions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "nor a path in a git revision" in refusal("HEAD:dist")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in refusal("HEAD:dist")
