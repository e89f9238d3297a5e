"""Rule of service accounts: H07."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs.errors import Problem
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import items, mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.pods import Pod

from .rule import Found, put, rule
from .security import vllm_pods

_FIELD = "automountServiceAccountToken"
# Images that call no API server: tools, and servers beside vLLM.
_HARMLESS = re.compile(
    r"(^|/)(alpine|alpine-git|aws-cli|bash|busybox|curl|debian|git|git-sync|gsutil|lmcache[\w/-]*|mc"
    r"|nginx|nginx-unprivileged|python|rclone|redis|s5cmd|ubuntu|vllm-openai[\w-]*|wget)"
    r"(:[^/]*)?(@[^/]*)?$"
)
# Injected containers take the token that is mounted.
_INJECTED = re.compile(
    r"(.*\.)?(consul\.hashicorp\.com|dapr\.io|datadoghq\.com|istio\.io|linkerd\.io"
    r"|vault\.hashicorp\.com|kuma\.io|openservicemesh\.io)/.*"
)
_CALLS_API = re.compile(r"\b(kubectl|kubernetes|serviceaccount|ray)\b", re.IGNORECASE)


@rule("H07", "warning", "a service account's token that vLLM does not use")
def token(graph: Graph) -> Iterator[Found]:
    """Whoever breaks into the server may call the API server with it."""
    bound = _bound(graph)
    for pod, engine in vllm_pods(graph):
        if engine is None or not pod.is_whole or not _is_mounted(graph, pod):
            continue
        name = _account(pod)
        is_bound = (name, "") in bound or (name, pod.namespace) in bound
        if is_bound or (not pod.namespace and name in {one for one, _ in bound}):
            continue
        if _may_call_api(pod, engine):
            continue
        path = (*pod.path, _FIELD)
        text = "is not false, so that the pod has a token of the API server, which vLLM never calls"
        problem = Problem(where=_FIELD, text=text, advice="give false")
        is_alone = len(pod.all_containers) == 1 and engine.release.is_official
        yield Found(
            manifest=pod.manifest,
            path=path,
            problem=problem,
            fix=put(path, value=False, is_safe=is_alone and not _runs_script(engine)),
        )


def _account(pod: Pod) -> str:
    named = pod.spec.get("serviceAccountName") or pod.spec.get("serviceAccount")
    return str(named or "default")


def _is_mounted(graph: Graph, pod: Pod) -> bool:
    """Whether the token is mounted, as far as the manifests tell."""
    own = pod.spec.get(_FIELD)
    if own is not None:
        return own is True
    name = _account(pod)
    account = graph.find("ServiceAccount", pod.namespace, name)
    if account is not None:
        return account.body.get(_FIELD) is not False
    # An account that is elsewhere may forbid it.
    return name == "default"


def _bound(graph: Graph) -> set[tuple[str, str]]:
    """The service accounts with roles: names, and namespaces as far as they are given."""
    found = set()
    for binding in graph.of("RoleBinding", "ClusterRoleBinding"):
        for subject in map(mapping, items(binding.body.get("subjects"))):
            if subject.get("kind") == "ServiceAccount":
                namespace = subject.get("namespace") or binding.namespace
                found.add((str(subject.get("name")), str(namespace)))
    return found


def _may_call_api(pod: Pod, engine: Engine) -> bool:
    keys = [*pod.annotations, *pod.labels]
    if any(isinstance(key, str) and _INJECTED.fullmatch(key) for key in keys):
        return True
    others = [one for path, one in pod.all_containers if path != engine.path]
    return any(map(_calls_api, [engine.container])) or not all(
        _HARMLESS.search(str(one.get("image"))) and not _calls_api(one) for one in others
    )


def _calls_api(container: Mapping[str, Any]) -> bool:
    words = strings(container.get("command")) + strings(container.get("args"))
    variables = (str(mapping(one).get("name")) for one in items(container.get("env")))
    return any(map(_CALLS_API.search, words)) or any("KUBECONFIG" in name for name in variables)


def _runs_script(engine: Engine) -> bool:
    command = strings(engine.container.get("command"))
    return bool(command) and command[0].rpartition("/")[2] in ("bash", "sh")
