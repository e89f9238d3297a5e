"""`vllm-constructs check --fix`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm_constructs.cli.main import main

TEXT = """\
# of the team
apiVersion: v1
kind: List
items:
  - kind: Service
    apiVersion: v1
    metadata: {name: a}
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: qwen}
    spec:
      selector: {matchLabels: {app: qwen}}
      template:
        spec:
          containers:
            - name: vllm
              image: vllm/vllm-openai:v0.33.0
              args: [Qwen/Qwen2.5-7B-Instruct, --shutdown-timeout=60]
              startupProbe: &probe
                httpGet: {path: /health, port: 8000}
                failureThreshold: 180
              livenessProbe:
                httpGet: {path: /health, port: 8000}
                periodSeconds: 30 # half a minute
                timeoutSeconds: 1 # short
---
# another
kind: ConfigMap
apiVersion: v1
metadata: {name: b}
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_safe(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What follows from the manifests alone is mended, and the rest of the file stays."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.yaml"
    file.write_bytes(TEXT.replace("\n", end).encode())

    assert 0 == main(["check", "a.yaml", "--fix", "--select", "P02,P04,P05"])

    out = capsys.readouterr().out
    assert "a.yaml:25:17: P02: mended spec.template.spec.containers[0]" in out
    assert out.endswith("No mistake found in 3 objects.\n")
    mended = (
        TEXT.replace("timeoutSeconds: 1 # short", "timeoutSeconds: 10 # short")
        .replace(
            "---\n",
            "          terminationGracePeriodSeconds: 75\n"
            "      progressDeadlineSeconds: 2400\n---\n",
        )
        .replace("\n", end)
    )
    assert mended == file.read_bytes().decode().replace("\r\n", "\n").replace("\n", end)


def test_proposal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change that needs a decision is shown and not made."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.yaml"
    text = TEXT.replace("startupProbe: &probe", "readinessProbe:")
    file.write_text(text)

    assert 1 == main(["check", "a.yaml", "--fix", "--select", "P01"])

    assert text == file.read_text()
    out = capsys.readouterr().out
    assert "P01 a.yaml:22:15: this would mend it\n@@ " in out
    assert "\n+              startupProbe:\n" in out


def test_json(tmp_path: Path) -> None:
    """A file in JSON stays JSON."""
    import json

    file = tmp_path / "a.json"
    container: dict[str, object] = {"image": "vllm/vllm-openai:v0.33.0", "args": ["m"]}
    container |= {"livenessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 30}}
    spec = {"selector": {}, "template": {"spec": {"containers": [container]}}}
    file.write_text(json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}))
    assert 0 == main(["check", str(file), "--fix", "--select", "P02"])
    found = json.loads(file.read_text())
    assert (
        10 == found["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["timeoutSeconds"]
    )


def test_stdin(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard input cannot be mended."""
    assert 2 == main(["check", "-", "--fix"])
    assert "--fix needs files, not standard input" in capsys.readouterr().err


def test_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A diff does not show a secret that stands beside the change."""
    monkeypatch.chdir(tmp_path)
    token = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz"
    short = "timeoutSeconds: 1 # short\n"
    env = f"{short}              env: [{{name: HF_TOKEN, value: {token}}}]\n"
    text = TEXT.replace("startupProbe: &probe", "readinessProbe:").replace(short, env)
    (tmp_path / "a.yaml").write_text(text)
    main(["check", "a.yaml", "--fix", "--select", "P01,H01"])
    out = capsys.readouterr().out
    assert "this would mend it" in out
    assert token not in out
    assert "(not shown: a secret in clear text)" in out
