"""The report: entries with their places."""

from vllm_constructs.formats.report import counted, field_name, pointer

from .reports import report


def test_entry() -> None:
    """An entry has the place of its field, the line there and the sentence."""
    error, warning = report().entries

    assert "dir/a b.yaml:12:11" == error.place
    assert "          livenessProbe:" == error.line
    assert "spec.template.spec.containers[0].livenessProbe" == error.field
    assert error.sentence.startswith("livenessProbe gives up after 90 seconds, and no startupProbe")
    assert "dir/a b.yaml:14:13" == warning.place
    assert "            timeoutSeconds: 1" == warning.line


def test_counts() -> None:
    """Errors and warnings are counted."""
    found = report()
    assert (1, 1, 2) == (found.errors, found.warnings, found.objects)


def test_no_positions() -> None:
    """An object of a text that is no YAML has its file alone."""
    text = '{"kind": "Deployment",\t"x": "\\ud83e\\udd99"}'
    (one,) = [
        *report(
            text[:-1] + ', "apiVersion": "apps/v1", "spec": {"selector": {}, "template": {"spec": '
            '{"containers": [{"image": '
            '"vllm/vllm-openai:v0.33.0", "args": ["m"], "livenessProbe": {"tcpSocket": '
            '{"port": 8000}, "timeoutSeconds": 5, "periodSeconds": 30}}]}}}}'
        ).entries
    ]
    assert "P01" == one.finding.rule.id
    assert one.place.startswith("dir/a b.yaml")


def test_names() -> None:
    """Fields are named as kubectl explain and as JSON pointers do."""
    path = ("metadata", "annotations", "a.b/c~d", 0)
    assert "metadata.annotations['a.b/c~d'][0]" == field_name(path)
    assert "/metadata/annotations/a.b~1c~0d/0" == pointer(path)
    assert ("1 error", "0 errors") == (counted(1, "error"), counted(0, "error"))
