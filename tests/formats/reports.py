"""Reports for the tests of formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vllm_constructs.errors import Problem
from vllm_constructs.formats.report import Entry, Report
from vllm_constructs.reading import files
from vllm_constructs.reading.graph import Graph
from vllm_constructs.rules.check import check, every_rule

BAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: "qwen,7b", namespace: llm}
spec:
  selector: {}
  template:
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.33.0
          args: [Qwen/Qwen2.5-7B-Instruct]
          livenessProbe:
            httpGet: {path: /health, port: 8000}
            timeoutSeconds: 1
            periodSeconds: 30
---
apiVersion: v1
kind: Service
metadata: {name: qwen}
"""


def report(
    text: str = BAD,
    file: str = "dir/a b.yaml",
    *rules: str,
    unread: str = "",
    hidden: Sequence[int] = (),
) -> Report:
    """The report of some rules about a text; by default one error and one warning.

    Args:
        text: The manifests.
        file: The name of the file.
        rules: Ids of rules.
        unread: Why a file was not read.
        hidden: Lines that are not shown.
    """
    found = files.read_text(text, file)
    chosen = [one for one in every_rule() if one.id in (rules or ("P01", "P02"))]
    entries = [
        Entry(finding=one, origin=found.origins[one.manifest.number])
        for one in check(Graph(found.objects), chosen)
    ]
    problems = [Problem(text=unread)] if unread else []
    secret = frozenset((file, line) for line in hidden)
    return Report(entries=entries, unread=problems, objects=len(found.objects), secret=secret)


def golden(name: str) -> Path:
    """A file beside the tests."""
    return Path(__file__).parent / name
