"""The text: for people, object by object."""

from vllm_constructs.formats.text import text

from .reports import BAD, report


def test_text() -> None:
    """Each object with its findings, the lines that are wrong, and what was found in all."""
    lines = text(report(unread="b.yaml:3 cannot be read")).split("\n")

    assert "Deployment llm/qwen,7b" == lines[0]
    assert lines[1].startswith("  dir/a b.yaml:12:11: error P01: livenessProbe gives up after 90")
    assert [
        "     |",
        "  12 |           livenessProbe:",
        "     |           ^^^^^^^^^^^^^ spec.template.spec.containers[0].livenessProbe",
    ] == lines[2:5]
    assert lines[5].startswith("  dir/a b.yaml:14:13: warning P02: livenessProbe.timeoutSeconds is")
    assert "  14 |             timeoutSeconds: 1" == lines[7]
    assert "     |             ^^^^^^^^^^^^^^^^^ spec" == lines[8].partition(".template")[0]
    assert ["", "unread: b.yaml:3 cannot be read.", ""] == lines[9:12]
    summary = "Found 1 error and 1 warning in 2 objects. --fix mends 1 of them. "
    assert [f"{summary}vllm-constructs explain P01 tells more about P01."] == lines[12:]


def test_clean() -> None:
    """Without findings it says so."""
    assert "No mistake found in 1 object." == text(report("kind: Service\n"))


def test_colour() -> None:
    """With colours, the words are the same."""
    import re

    coloured = text(report(), colour=True)
    assert "\x1b[1;31merror P01\x1b[0m" in coloured
    assert text(report()) == re.sub(r"\x1b\[[\d;]*m", "", coloured)


def test_long_line() -> None:
    """Of a long line, the part around the field is shown."""
    import json

    import yaml

    (manifest, _) = yaml.safe_load_all(BAD)
    manifest["metadata"]["annotations"] = {"a": "x" * 300}
    shown = text(report(json.dumps(manifest))).split("\n")
    assert all(len(line) < 200 for line in shown[3:5])
    assert '"livenessProbe"' in shown[3]
    marks = shown[4].index("^")
    assert '"livenessProbe"' == shown[3][marks:].partition(":")[0]


def test_control_characters() -> None:
    """What a terminal would execute is not shown."""
    text_ = BAD.replace("livenessProbe:", "livenessProbe: # \x1b[31m\tred").replace("\x1b", "")
    assert "\x1b" not in text(report(text_))


def test_secrets() -> None:
    """A line with a secret in clear text is not shown, whatever else is wrong in it."""
    key = "sk-Zq3vYt81LmPwX0cRb7"
    words = f"[Qwen/Qwen2.5-7B-Instruct, --api-key, {key}, --seed=1, --seed=2]"
    manifests = BAD.replace("[Qwen/Qwen2.5-7B-Instruct]", words)
    shown = text(report(manifests, "a.yaml", "E08", "H01", hidden=[11]))
    assert key not in shown
    assert "  11 | spec.template.spec.containers[0].args[2] (not shown)" in shown
    assert "--seed is given twice" in shown
