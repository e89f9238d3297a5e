"""Rule of secrets in clear text: H01."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from vllm_constructs import require
from vllm_constructs.errors import Problem
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Manifest, Path
from vllm_constructs.workloads import credentials

from .probes import PROBES
from .rule import Found, remove, rule

_PLACEHOLDER = re.compile(
    r"<[^<>\n]{0,80}>"  # <your-token>
    r"|\{\{.*?\}\}|\$\{[^{}\n]*\}|\$\([^()\n]*\)|\$[A-Za-z_]\w*|%\(?\w+\)?[%s]|\{\w*\}|@@?\w+@@?"
    r"|os\.environ/\w+|env\.\w+|!secret \w+"
    r"|(?<![A-Za-z0-9])(?:hf_|sk-)?[xX*.]{3,}(?![A-Za-z0-9])"
    r"|[\w-]*(?:replace|change|insert|fill|set)[-_ ]?(?:me|this|it|in|with)[\w-]*"
    r"|(?<![A-Za-z])my[-_ ](?:\w+[-_ ])*(?:token|key|password|secret)\b"
    r"|(?<![A-Za-z])your[-_ ]?[\w-]*|[\w-]*[-_]here\b"
    r"|(?<![A-Za-z])(?:sk-)?(?:placeholder|dummy|redacted|fake|fixme|todo|unused)(?![A-Za-z])[\w-]*"
    r"|[\w-]*(?:no|not)[-_ ]?(?:key|needed|required|used|token|auth)\b[\w-]*",
    re.IGNORECASE,
)
# Words that are a key in name only, and what clients give to servers that ask for none.
_WORDS = re.compile(
    r"\$*|any(thing)?|api[-_]?key|default|foo|ignored?|key|lm-studio|local|n/?a|nothing|ollama"
    r"|openai|string|token|vllm|x"
    # The name of a Secret, or words that say what belongs there.
    r"|[a-z]+([-_][a-z]+)*[-_](token|secret|key|credentials)",
    re.IGNORECASE,
)
# Words of texts that have the shape of tokens.
_PROSE = re.compile(
    r"\bhf_[a-z]+\b|\b(?:Bearer|Basic) +[A-Z]?[a-z]+(?![\w=+/-]|\.\w)|://user\w*:pass\w*@"
)
_SCHEME = re.compile(r"(Bearer|Basic) +", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>[^\s()\[\]{}]+)")
_SPACE = re.compile(r"\s")
_SENSITIVE = re.compile(r"pass|secret|token|key|credential|curl|PAT\b|PWD", re.IGNORECASE)
_CURL_USER = re.compile(r"\bcurl\b[^|;&\n]*\s(?:-u|--user)[= ]?['\"]?[^\s:$'\"]+:(?!\$)[^\s'\"]")
_LINE = re.compile(
    r"^[ \t]*(?:-[ \t]+)?[\"']?(?P<name>[\w.-]*(?:password|passwd|passphrase|client[-_]?secret"
    r"|(?:access|auth|bearer|hf|hub|github)[-_]?token|(?:access|api|encryption|private|secret)[-_]?key"
    r"))[\"']?[ \t]*[:=][ \t]*(?P<value>[^\n]+?)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED = re.compile(r"(?P<quote>[\"'])(?P<value>[^\"']*)(?P=quote)[,;]?(?:[ \t]+#.*)?")
_PLAIN = re.compile(r"(?P<value>[^\s\"'()\[\]{}|&,;<>`$]+)[,;]?(?:[ \t]+#.*)?")
# Names, which refer to a value in a program.
_REFERENCE = re.compile(
    r"[A-Za-z_]\w*\.[A-Za-z_][\w.]*|self\..*|(str|string|int|bool|None|null)\b.*"
)
_PROGRAMS = (".jinja", ".jinja2", ".js", ".lua", ".md", ".py", ".sh", ".tmpl", ".tpl", ".ts")
_NAME_OF_SECRET = re.compile(r"[a-z0-9][a-z0-9.-]*[a-z0-9]")
_DEEPEST = 12
# They hold secrets, or schemas of others.
_SKIPPED = ("ConfigMap", "CustomResourceDefinition", "Secret")
_TO_SECRET = "put it into a Secret"


class Clear(NamedTuple):
    """A secret in clear text: its path, and the name that it has there."""

    path: Path
    name: str
    is_argument: bool = False


@rule("H01", "error", "a secret in clear text")
def clear_text(graph: Graph) -> Iterator[Found]:
    """Manifests are committed, shown and logged; whoever reads one has the secret."""
    for manifest in graph.manifests:
        if manifest.kind == "ConfigMap":
            yield from _in_config(manifest)
            continue
        pods = graph.pods_of(manifest)
        for pod in pods:
            for path, container in pod.all_containers:
                for one in in_container(container, path):
                    if not _is_name(graph, manifest, one):
                        yield _found(manifest, one, container)
        if not pods and "." in manifest.group and manifest.kind not in _SKIPPED:
            for one in _in_others(manifest.body, ()):
                yield _found(manifest, one, {})


def _found(manifest: Manifest, one: Clear, container: Mapping[str, Any]) -> Found:
    if one.is_argument:
        text = "has a secret in clear text (not shown), which every list of processes shows"
        advice = f"{_TO_SECRET}, and give it as a variable with valueFrom.secretKeyRef"
    else:
        text = "has a secret in clear text (not shown)"
        advice = f"{_TO_SECRET}, and refer to it with valueFrom.secretKeyRef"
    fix = None
    variable = mapping(manifest.at(*one.path[:-1]))
    if container and one.path[-1] == "value" and mapping(variable.get("valueFrom")):
        text = "has a secret in clear text (not shown) beside its reference, and both are rejected"
        advice = "remove the value, and change the secret"
        fix = remove(one.path, is_safe=True)
    problem = Problem(where=one.name, text=text, advice=advice)
    return Found(manifest=manifest, path=one.path, problem=problem, fix=fix)


def is_secret(name: str, value: str) -> bool:
    """Whether a value is a secret: by its shape, or by its name if it is no placeholder.

    Args:
        name: Name of the variable, flag or key.
        value: The value.
    """
    # Most values are none, so what is slow comes last.
    is_named = credentials.is_clear(name, value)
    if not is_named and not credentials.in_variable(name, value):
        return False
    filled = _PLACEHOLDER.sub("$", value).strip()
    if _WORDS.fullmatch(filled):
        return False
    if is_named and "$" not in filled:
        bare = _SCHEME.sub("", filled)
        return credentials.is_clear(name, bare) and not _WORDS.fullmatch(bare)
    return credentials.in_variable(name, _PROSE.sub("$", filled))


def _has_shape(text: str) -> bool:
    """Whether a text has a word with the shape of a secret, which is no placeholder."""
    return credentials.in_variable("", text) and credentials.in_variable(
        "", _PROSE.sub("$", _PLACEHOLDER.sub("$", text))
    )


def in_container(container: Mapping[str, Any], path: Path) -> Iterator[Clear]:
    """The secrets of a container: in variables, words of command lines, probes and hooks.

    Args:
        container: The container.
        path: The fields that lead to it.
    """
    yield from _in_variables(container.get("env"), (*path, "env"))
    for field in ("command", "args"):
        yield from _in_words(container.get(field), (*path, field))
    handlers = [(name, container.get(name)) for name in PROBES]
    lifecycle = mapping(container.get("lifecycle"))
    handlers += [(name, one) for name, one in lifecycle.items() if isinstance(name, str)]
    for name, handler in handlers:
        steps: Path = ("lifecycle", name) if name in lifecycle else (name,)
        where = (*path, *steps)
        command = mapping(mapping(handler).get("exec")).get("command")
        yield from _in_words(command, (*where, "exec", "command"))
        headers = items(mapping(mapping(handler).get("httpGet")).get("httpHeaders"))
        for at, header in enumerate(map(mapping, headers)):
            title, value = str(header.get("name")), header.get("value")
            if isinstance(value, str) and is_secret(title, value):
                place = (*where, "httpGet", "httpHeaders", at, "value")
                yield Clear(place, f"the header {require.shown(title)}")


def _in_variables(env: object, path: Path) -> Iterator[Clear]:
    """Variables as a list, and as the map of some custom kinds."""
    if isinstance(env, dict):
        listed = [((*path, str(name)), name, value) for name, value in env.items()]
    else:
        variables = enumerate(map(mapping, items(env)))
        listed = [
            ((*path, at, "value"), one.get("name"), one.get("value")) for at, one in variables
        ]
    for place, name, value in listed:
        if isinstance(name, str) and isinstance(value, str) and is_secret(name, value):
            yield Clear(place, f"the variable {require.shown(name)}")


def _in_words(words: object, path: Path) -> Iterator[Clear]:
    texts = strings(words)
    named = {at: name for at, name, value in credentials.options(texts) if is_secret(name, value)}
    for at, text in enumerate(texts):
        name = named.get(at) or _in_word(text)
        if name is not None:
            what = f"the flag --{name}" if name else f"{path[-1]}[{at}]"
            yield Clear((*path, at), what, is_argument=True)


# Scripts of hooks and arguments are the same in many pods.
@lru_cache(maxsize=4096)
def _in_word(text: str) -> str | None:
    """The flag of a secret in a word or script; empty without one, and None without a secret."""
    if _has_shape(text):
        return ""
    return _in_script(text) if _SPACE.search(text) and _SENSITIVE.search(text) else None


def _in_script(script: str) -> str | None:
    if _CURL_USER.search(_PLACEHOLDER.sub("$", script)):
        return ""
    try:
        words = shlex.split(script, comments=True)
    except ValueError:
        words = script.split()
    for word in words:
        found = _ASSIGNED.fullmatch(word)
        # A program refers to values by names.
        is_reference = found is None or _REFERENCE.fullmatch(found["value"])
        if found and not is_reference and is_secret(found["name"], found["value"]):
            return ""
    named = (name for _, name, value in credentials.options(words) if is_secret(name, value))
    return next(named, None)


def _in_config(manifest: Manifest) -> Iterator[Found]:
    for key, value in mapping(manifest.body.get("data")).items():
        if not isinstance(key, str) or not isinstance(value, str):
            continue
        name = in_text(key, value)
        if name is not None:
            within = f" at {require.shown(name)}" if name else ""
            text = f"has a secret in clear text{within} (not shown), and a ConfigMap hides nothing"
            problem = Problem(where=f"data[{key!r}]", text=text, advice=_TO_SECRET)
            yield Found(manifest=manifest, path=("data", key), problem=problem)


def in_text(key: str, text: str) -> str | None:
    """The name of a secret in a file or value; empty without a name, and None without a secret.

    Args:
        key: Name of the file or value.
        text: Its text.
    """
    if "\n" not in text.strip() and is_secret(key, text.strip()):
        return ""
    if _has_shape(text):
        return ""
    if key.endswith(_PROGRAMS) or text.startswith("#!"):
        return None
    for line in _LINE.finditer(text):
        found = _QUOTED.fullmatch(line["value"]) or _PLAIN.fullmatch(line["value"])
        is_reference = not line["value"].startswith(('"', "'")) and _REFERENCE.fullmatch(
            line["value"].rstrip(",; ")
        )
        if found and not is_reference and is_secret(line["name"], found["value"]):
            return line["name"]
    return None


def _in_others(value: object, path: Path) -> Iterator[Clear]:
    """Variables and arguments in objects of operators, and addresses and headers of triggers."""
    if len(path) > _DEEPEST:
        return
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from _in_others(item, (*path, at))
    elif isinstance(value, dict):
        for key, item in value.items():
            where = (*path, str(key))
            if key == "env":
                yield from _in_variables(item, where)
            elif key in ("args", "command"):
                yield from _in_words(item, where)
            elif isinstance(item, str):
                is_header = key == "customHeaders" and is_secret("HEADERS", item)
                if is_header or (key == "serverAddress" and _has_shape(item)):
                    yield Clear(where, f"metadata.{key}")
            else:
                yield from _in_others(item, where)


def _is_name(graph: Graph, manifest: Manifest, one: Clear) -> bool:
    """Whether the value is the name of a Secret, of which the name of the variable speaks."""
    value = manifest.at(*one.path)
    if not isinstance(value, str) or not _NAME_OF_SECRET.fullmatch(value):
        return False
    if graph.find("Secret", manifest.namespace, value) is not None:
        return True
    return one.name.rstrip("'").upper().endswith("SECRET") and "secret" in value
