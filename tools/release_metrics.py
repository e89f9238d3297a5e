"""Reads the metrics of an unpacked vLLM wheel from its source.

Statically, since metrics are registered where an engine starts, which needs an engine. A metric
is a call of a Prometheus class whose name begins with `vllm:`, or an entry of a table of names
and metadata objects, as the KV offloading connectors have them. Names and labels may be
constants, local variables or attributes; what cannot be followed is reported.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What the loggers give to everything that they make: vllm/v1/metrics/loggers.py.
_BASE = ["engine", "model_name"]
_NAME = re.compile(r"vllm:[a-z0-9_]+")
_MENTION = re.compile(r"[\"']vllm:[a-z]|(Counter|Gauge|Histogram)Metadata\(")
_DEEPEST = 5
_KIND = re.compile(r"(counter|gauge|histogram)(_cls|metadata)?$", re.IGNORECASE)
# They read metrics or tell others about them, and make none.
_READERS = frozenset({"reader.py", "orca_metrics.py"})

_Scope = dict[str, ast.expr]


class _Unknown(Exception):  # noqa: N818  (no error: the next way is tried)
    """An expression that cannot be followed."""


def _assignments(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.expr]]:
    """Names that a block binds, and the attributes of its classes."""
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield prefix + ast.unparse(target), node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield prefix + ast.unparse(node.target), node.value
        elif isinstance(node, ast.ClassDef):
            yield from _assignments(node.body, f"{node.name}.")
        elif isinstance(node, (ast.If, ast.With, ast.For, ast.Try)):
            yield from _assignments(node.body, prefix)
            yield from _assignments(getattr(node, "orelse", []), prefix)


def _text(node: ast.expr, scope: _Scope, depth: int = 0) -> str:
    """The text that an expression is."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    key = ast.unparse(node)
    if key in scope and depth < _DEEPEST:
        return _text(scope[key], scope, depth + 1)
    raise _Unknown(key)


def _labels(node: ast.expr, scope: _Scope, info: list[str]) -> list[str]:
    """The labels that an expression is."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_text(item, scope) for item in node.elts]
    if isinstance(node, ast.BinOp):
        return [*_labels(node.left, scope, info), *_labels(node.right, scope, info)]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("list", "tuple"):
        return _labels(node.args[0], scope, info)
    key = ast.unparse(node)
    if key == "metrics_info.keys()":
        return info
    if key in scope and ast.unparse(scope[key]) != key:
        return _labels(scope[key], scope, info)
    if key in ("labelnames", "self._labelnames"):
        return list(_BASE)
    raise _Unknown(key)


def _argument(call: ast.Call, name: str, position: int) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if len(call.args) > position else None


def _kind(call: ast.Call) -> tuple[str, bool] | None:
    """Counter, gauge or histogram, and whether it is only metadata of one."""
    found = _KIND.search(ast.unparse(call.func).rpartition(".")[2])
    return (found[1].lower(), (found[2] or "").lower() == "metadata") if found else None


def _names(node: ast.expr, function: ast.AST, scope: _Scope) -> list[str]:
    """The names that a metric gets: more than one where it is made in a loop over a table."""
    try:
        return [_text(node, scope)]
    except _Unknown:
        tuples = (one for one in ast.walk(function) if isinstance(one, ast.Tuple) and one.elts)
        firsts = (one.elts[0] for one in tuples)
        texts = (str(one.value) for one in firsts if isinstance(one, ast.Constant))
        return [text for text in texts if _NAME.fullmatch(text)]


class _Reader:
    """Collects the metrics of a wheel."""

    def __init__(self, info: list[str]) -> None:
        self.info = info
        self.shared: _Scope = {}
        self.found: dict[str, dict[str, Any]] = {}

    def add(self, name: str, kind: str, call: ast.Call, scope: _Scope, around: str) -> None:
        if not _NAME.fullmatch(name):
            return
        is_table = ast.unparse(call.func).endswith("Metadata")
        given = _argument(call, "labelnames", 99 if is_table else 2)
        one: dict[str, Any] = {"type": kind}
        try:
            labels = _labels(given, scope, self.info) if given is not None else []
        except _Unknown:
            labels, one["more_labels"] = [], True
        one["labels"] = sorted({*labels, *(_BASE if is_table else [])})
        told = _argument(call, "documentation", 1)
        told_text = ast.unparse(told) if told is not None else ""
        if "DEPRECATED" in around + told_text:
            one["deprecated"] = True
        if "show_hidden" in around:
            one["hidden"] = True
        exposed = name
        if kind == "counter" and not name.endswith("_total"):
            exposed = f"{name}_total"
        # Named twice where a table says what a call then makes: the one that says more counts.
        old = self.found.get(exposed, one)
        best = max((old, one), key=lambda found: ("more_labels" not in found, len(found["labels"])))
        self.found[exposed] = dict(best)
        for mark in ("deprecated", "hidden"):
            if mark in old or mark in one:
                self.found[exposed][mark] = True

    def read(self, node: ast.AST, function: ast.AST, scope: _Scope, around: str) -> None:
        """Look for metrics in a node and below it."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            scope = {**scope, **dict(_assignments(node.body))}
            function = node
        elif isinstance(node, ast.If):
            around = f"{around} {ast.unparse(node.test)}"
        elif isinstance(node, ast.Call):
            self.call(node, function, scope, around)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None:
                    self.entry(key, value, scope, around)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            self.entry(node.targets[0].slice, node.value, scope, around)
        for child in ast.iter_child_nodes(node):
            self.read(child, function, scope, around)

    def call(self, node: ast.Call, function: ast.AST, scope: _Scope, around: str) -> None:
        kind = _kind(node)
        given = _argument(node, "name", 0)
        if kind and not kind[1] and given is not None:
            for name in _names(given, function, scope):
                self.add(name, kind[0], node, scope, f"{around} {ast.unparse(given)}")

    def entry(self, key: ast.expr, value: ast.expr, scope: _Scope, around: str) -> None:
        """One row of a table from names to metadata."""
        kind = _kind(value) if isinstance(value, ast.Call) else None
        if isinstance(value, ast.Call) and kind and kind[1]:
            try:
                name = _text(key, scope)
            except _Unknown:
                return
            self.add(name, kind[0], value, scope, f"{around} {ast.unparse(key)}")


def metrics_of(wheel: Path, info: list[str]) -> dict[str, dict[str, Any]]:
    """Every metric by the name that Prometheus sees; `info` are the labels of cache_config_info."""
    trees = []
    for path in sorted((wheel / "vllm").rglob("*.py")):
        below = path.relative_to(wheel / "vllm").parts
        if path.name not in _READERS and below[0] != "benchmarks":
            text = path.read_text(encoding="utf-8")
            if _MENTION.search(text):
                trees.append(ast.parse(text))
    reader = _Reader(info)
    for tree in trees:
        for name, value in _assignments(tree.body):
            if isinstance(value, ast.Constant):
                reader.shared[name] = value
    mentioned: set[str] = set()
    for tree in trees:
        scope = {**reader.shared, **dict(_assignments(tree.body))}
        mine = {
            ast.unparse(target): node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Attribute)
        }
        reader.read(tree, tree, {**mine, **scope}, "")
        mentioned |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and _NAME.fullmatch(node.value)
        }
    for name in sorted(mentioned):
        if name not in reader.found and f"{name}_total" not in reader.found:
            print(f"not followed: {name}", file=sys.stderr)
    return dict(sorted(reader.found.items()))
