"""GitHub's annotations."""

from vllm_constructs.formats.github import github

from .reports import report


def test_github() -> None:
    """Each finding is a command, with what GitHub would read as syntax escaped."""
    error, warning, unread, summary = github(report(unread="50% of\nb.yaml")).split("\n")

    assert error.startswith(
        "::error file=dir/a b.yaml,line=12,col=11,endLine=12,endColumn=24,"
        "title=P01%3A Deployment llm/qwen%2C7b::livenessProbe gives up"
    )
    assert warning.startswith("::warning file=dir/a b.yaml,line=14,col=13,")
    assert "::error title=unread::50%25 of%0Ab.yaml." == unread
    assert summary.startswith("Found 1 error and 1 warning")
