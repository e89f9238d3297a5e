"""Rule of schemas: what the tables and kubernetes-validate find, and where they agree."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.cluster.mistakes import all_good
from vllm_constructs.kube.kubernetes import Kubernetes
from vllm_constructs.reading.settings import Settings
from vllm_constructs.rules import schemas

from .findings import found, ids, sentences
from .odd_values import check_odd_values, paths
from .pods import deployment, group, pod_spec


def engine(**container: Any) -> dict[str, Any]:
    """A Deployment of an engine with these fields."""
    return deployment(pod_spec(container=container))


def scaled(**spec: Any) -> dict[str, Any]:
    """A ScaledObject."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "qwen"},
        "spec": {"scaleTargetRef": {"name": "qwen"}, "triggers": [], **spec},
    }


@pytest.fixture
def _without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where kubernetes-validate is not installed."""
    monkeypatch.setattr(schemas, "is_available", lambda: False)


class TestTables:
    """H09 without kubernetes-validate."""

    pytestmark = pytest.mark.usefixtures("_without_package")

    @pytest.mark.parametrize(
        ("manifest", "words"),
        [
            (deployment(pod_spec(), replica=2), "spec.replica is no field of DeploymentSpec"),
            (engine(startupProbe={"initialDelaySecond": 10}), "'initialDelaySeconds'?"),
            (engine(imagePullPolicy="always"), "write 'Always'"),
            (engine(env=[{"name": "A", "value": 1}]), "env[0].value is (not shown)"),
            (engine(args=["a/b", 4096]), "args[1] is 4096; expected a string"),
            (engine(command="vllm serve"), "is 'vllm serve'; expected a list"),
            (engine(resources={"limits": {"memory": "64GB"}}), "write '64Gi'"),
            (engine(resources={"limits": {"memory": "64000m"}}), "a thousandth of a byte"),
            (group(None, pod_spec(hostname=7)), "spec.hostname is 7; expected a string"),
            (scaled(minReplicas=1), "'minReplicaCount'?"),
            (scaled(maxReplicaCount="4"), "write 4 without quotes"),
            (scaled(triggers=[{"metadata": {"threshold": 5}}]), "metadata.threshold is 5"),
            (
                {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"},
                "is gone since Kubernetes 1.25",
            ),
            ({"apiVersion": "v1", "kind": "Deployment", "spec": {"foo": 1}}, "has no Deployment"),
        ],
    )
    def test_bad(self, manifest: dict[str, Any], words: str) -> None:
        """Fields, types, values, quantities and versions that are none."""
        (sentence,) = sentences([manifest], "H09")
        assert words in sentence

    @pytest.mark.parametrize(
        "manifest",
        [
            engine(),
            group(pod_spec(), pod_spec()),
            scaled(),
            # A field of the experimental channel.
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "spec": {"rules": [{"retry": {"attempts": 3}}]},
            },
            # As the API server returns them.
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "x", "creationTimestamp": None, "managedFields": [{}]},
                "status": {"loadBalancer": {}},
            },
            # Kinds of others, and what an operator completes.
            {"apiVersion": "example.com/v1", "kind": "Deployment", "spec": {"foo": 1}},
            {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "spec": {"predictor": pod_spec(minReplicas=1, model={})},
            },
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": {"foo": 1}},
            {"kind": "Deployment"},
            {"apiVersion": "v1"},
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """What is right, and what is not known."""
        assert [] == sentences([manifest], "H09")

    def test_parts(self) -> None:
        """In containers that an operator completes, only what is there is judged."""
        spec = pod_spec(minReplicas=1, model={}, container={"env": [{"name": "A", "value": 1}]})
        del spec["containers"][0]["name"]
        service = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
        (one,) = found([{**service, "spec": {"predictor": spec}}], "H09")
        assert ("predictor", "containers", 0, "env", 0, "value") == one.path[1:]

    def test_pods_of_others(self) -> None:
        """Pod templates of kinds that are not in the tables are those of Kubernetes."""
        rollout = deployment(pod_spec(restartpolicy="Always"))
        rollout |= {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
        (one,) = found([rollout], "H09")
        assert ("spec", "template", "spec", "restartpolicy") == one.path

    def test_target(self) -> None:
        """A kind that the target does not have yet."""
        template: dict[str, Any] = {"apiVersion": "resource.k8s.io/v1"}
        template |= {"kind": "ResourceClaimTemplate"}
        template |= {"metadata": {"name": "gpu"}, "spec": {"spec": {}}}
        assert [] == sentences([template], "H09")
        old = Settings(kubernetes=Kubernetes("1.33"))
        (one,) = found([template], "H09", settings=old)
        assert ("apiVersion",) == one.path
        assert "new in Kubernetes 1.34, and the target is 1.33" in one.problem.sentence()

    def test_fix(self) -> None:
        """A version with the same fields takes the place of the old one."""
        metadata = {"name": "qwen"}
        for version, is_safe in (("autoscaling/v2beta2", True), ("autoscaling/v2beta1", False)):
            old = {"apiVersion": version, "kind": "HorizontalPodAutoscaler", "metadata": metadata}
            (one,) = found([old], "H09")
            assert one.fix is not None
            assert is_safe == one.fix.is_safe
            assert "autoscaling/v2" == one.fix.edits[0].value


def changed_at(manifest: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A manifest with another value at a path; without the field for None."""
    changed = deepcopy(manifest)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


def accepts(manifest: dict[str, Any]) -> bool | None:
    """Whether kubernetes-validate accepts a manifest; None for a kind that it does not know."""
    try:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
    except kubernetes_validate.ValidationError:
        return False
    except kubernetes_validate.SchemaNotFoundError:
        return None
    return True


class TestPackage:
    """H09 with kubernetes-validate."""

    def test_available(self) -> None:
        """It is installed here."""
        assert schemas.is_available()

    def test_required(self) -> None:
        """A field that is missing, and kinds that the tables do not have."""
        manifest = engine()
        del manifest["spec"]["selector"]
        (one,) = found([manifest], "H09")
        assert ("spec", "selector") == one.path
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"foo": 1}}
        (one,) = found([lease], "H09")
        assert ("spec", "foo") == one.path

    def test_once(self) -> None:
        """What both find is said once."""
        assert 1 == len(found([engine(imagePullPolicyy="Always")], "H09"))
        assert 1 == len(found([deployment(pod_spec(), replicas="two")], "H09"))
        old = Settings(kubernetes=Kubernetes("1.27"))
        hook = {"preStop": {"sleep": {"seconds": 5}}}
        (one,) = found([engine(lifecycle=hook)], "H09", settings=old)
        assert "sleep" == one.path[-1]

    def test_agreement(self) -> None:
        """What kubernetes-validate rejects is found, and what it accepts is not.

        Only words and quantities are found in addition, which it does not check.
        """
        chosen = random.Random(7)  # noqa: S311  # a sample, the same each time
        odd: tuple[Any, ...] = (5, True, [], {})
        kinds: dict[str, dict[str, Any]] = {one["kind"]: one for one in all_good()}
        for manifest in kinds.values():
            deep = [one for one in paths(manifest) if len(one) > 1]
            for path in chosen.sample(deep, min(6, len(deep))):
                for value in (chosen.choice(odd), None):
                    changed = changed_at(manifest, path, value)
                    is_right = accepts(changed)
                    findings = [one for one in found([changed], "H09") if one.level == "error"]
                    said = " ".join(one.problem.sentence() for one in findings)
                    if is_right is not None and "quantity" not in said and "bytes" not in said:
                        assert is_right != bool(findings), (path, value, said)

    def test_good(self) -> None:
        """Nothing is found in what this library renders."""
        assert [] == sentences(all_good(), "H09")


def test_drop() -> None:
    """A rule that knows why says it alone."""
    assert ["P03"] == ids(
        [engine(readinessProbe={"httpGet": {"path": "/health", "port": 8000, "scheme": "https"}})],
        "P03",
        "H09",
    )


def test_odd_values() -> None:
    """No value of any type raises."""
    limits = {"limits": {"memory": "64Gi"}}
    check_odd_values([engine(resources=limits, env=[{"name": "A"}]), scaled()], "H09")


class TestPatches:
    """What a patch of Kustomize lacks is in the object that it patches."""

    @staticmethod
    def patch(spec: dict[str, Any], **template: Any) -> dict[str, Any]:
        """A Deployment without a selector."""
        metadata = {"name": "decode"}
        body = {"template": {**template, "spec": spec}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": body}

    def test_good(self) -> None:
        """A container of the base, a sidecar alone, or labels alone."""
        named = {"name": "vllm", "args": ["a/b"], "command": ["vllm", "serve"]}
        labels = {"metadata": {"labels": {"role": "decode"}}}
        parts = [
            self.patch({"containers": [named]}),
            self.patch({"containers": [named]}, **labels),
            self.patch({"initContainers": [{"name": "proxy", "image": "proxy:1"}]}),
        ]
        assert [] == sentences(parts, "H09")

    def test_bad(self) -> None:
        """A field that is none, and a whole Deployment whose selector was forgotten."""
        (one,) = found([self.patch(pod_spec(volume=[]))], "H09")
        assert "volume" == one.path[-1]
        labels = {"metadata": {"labels": {"app": "qwen"}}}
        (one,) = found([self.patch(pod_spec(), **labels)], "H09")
        assert ("spec", "selector") == one.path
