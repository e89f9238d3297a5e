"""Rule of service accounts: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, pod_spec


def engine(container: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    """A Deployment of an engine."""
    return deployment(pod_spec(container=container, **pod))


def account(**fields: Any) -> dict[str, Any]:
    """The service account `qwen`."""
    metadata = {"name": "qwen", "namespace": "llm"}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, **fields}


def binding(kind: str, name: str, **subject: Any) -> dict[str, Any]:
    """A binding of a role to a service account."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "llm"},
        "subjects": [{"kind": "ServiceAccount", "name": name, **subject}],
    }


class TestToken:
    """H07."""

    @pytest.mark.parametrize(
        ("pod", "others"),
        [
            ({}, []),
            ({"automountServiceAccountToken": True}, []),
            ({"serviceAccountName": "default"}, []),
            ({"serviceAccountName": "qwen"}, [account()]),
            ({"serviceAccountName": "qwen"}, [account(automountServiceAccountToken=True)]),
            # The pod's own field counts.
            (
                {"serviceAccountName": "qwen", "automountServiceAccountToken": True},
                [account(automountServiceAccountToken=False)],
            ),
            ({"serviceAccountName": "qwen"}, [account(), binding("RoleBinding", "other")]),
            (
                {"serviceAccountName": "qwen"},
                [account(), binding("ClusterRoleBinding", "qwen", namespace="elsewhere")],
            ),
            ({"initContainers": [{"name": "w", "image": "busybox:1.36"}]}, []),
        ],
    )
    def test_bad(self, pod: dict[str, Any], others: list[dict[str, Any]]) -> None:
        """A token that is mounted, and that nobody needs."""
        (one,) = found([engine(**pod), *others], "H07")
        assert ("template", "spec", "automountServiceAccountToken") == one.path[1:]

    @pytest.mark.parametrize(
        ("pod", "others"),
        [
            ({"automountServiceAccountToken": False}, []),
            ({"serviceAccountName": "qwen"}, [account(automountServiceAccountToken=False)]),
            # An account that is elsewhere may forbid it.
            ({"serviceAccountName": "qwen"}, []),
            ({"serviceAccount": "qwen"}, []),
            # Roles say that something needs it.
            ({"serviceAccountName": "qwen"}, [account(), binding("RoleBinding", "qwen")]),
            (
                {"serviceAccountName": "qwen"},
                [account(), binding("ClusterRoleBinding", "qwen", namespace="llm")],
            ),
            ({}, [binding("RoleBinding", "default")]),
            # Containers that may call the API server.
            ({"initContainers": [{"name": "w", "image": "bitnami/kubectl:1.34"}]}, []),
            ({"initContainers": [{"name": "r", "image": "aibrix/runtime:v0.5.0"}]}, []),
            (
                {
                    "initContainers": [
                        {"name": "w", "image": "alpine:3", "command": ["sh", "-c", "kubectl get"]}
                    ]
                },
                [],
            ),
        ],
    )
    def test_good(self, pod: dict[str, Any], others: list[dict[str, Any]]) -> None:
        """No token, one that may be forbidden elsewhere, and one that is needed."""
        assert [] == sentences([engine(**pod), *others], "H07")

    @pytest.mark.parametrize(
        "key",
        ["vault.hashicorp.com/agent-inject", "linkerd.io/inject", "sidecar.istio.io/inject"],
    )
    def test_injected(self, key: str) -> None:
        """Injected containers take the pod's token."""
        for field in ("annotations", "labels"):
            manifest = engine()
            metadata = manifest["spec"]["template"]["metadata"]
            metadata.setdefault(field, {})[key] = "true"
            assert [] == sentences([manifest], "H07")

    def test_engine(self) -> None:
        """An engine that calls the API server itself, such as by Ray."""
        ray = {"args": ["a/b", "--distributed-executor-backend", "ray"]}
        assert [] == sentences([engine(ray)], "H07")
        assert [] == ids([deployment({"containers": [{"name": "x", "image": "nginx"}]})], "H07")

    def test_fix(self) -> None:
        """An official image that runs alone can do without."""
        (one,) = found([engine()], "H07")
        assert one.fix is not None
        assert one.fix.is_safe
        own = {"image": "example.com/vllm:1", "command": ["vllm", "serve"]}
        (one,) = found([engine(own)], "H07")
        assert one.fix is not None
        assert not one.fix.is_safe


def test_odd_values() -> None:
    """No value of any type raises."""
    pod = engine(serviceAccountName="qwen", initContainers=[{"name": "w", "image": "busybox"}])
    check_odd_values([pod, account(), binding("RoleBinding", "x")], "H07")
