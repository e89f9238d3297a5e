"""API versions: those that are gone, and those that never were."""

from __future__ import annotations

import pytest

from vllm_constructs.rules.api_versions import has_same_fields, wrong_version


@pytest.mark.parametrize(
    ("version", "kind", "right"),
    [
        ("policy/v1beta1", "PodDisruptionBudget", "policy/v1"),
        ("policy/v1beta1", "PodSecurityPolicy", ""),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", "autoscaling/v2"),
        ("extensions/v1beta1", "Deployment", "apps/v1"),
        ("extensions/v1beta1", "Ingress", "networking.k8s.io/v1"),
        ("networking.k8s.io/v1beta1", "Ingress", "networking.k8s.io/v1"),
        ("apps/v1beta1", "StatefulSet", "apps/v1"),
        ("batch/v1beta1", "CronJob", "batch/v1"),
        ("rbac.authorization.k8s.io/v1beta1", "Role", "rbac.authorization.k8s.io/v1"),
        ("keda.k8s.io/v1alpha1", "ScaledObject", "keda.sh/v1alpha1"),
        (
            "inference.networking.x-k8s.io/v1alpha2",
            "InferencePool",
            "inference.networking.k8s.io/v1",
        ),
        # Of another group.
        ("v1", "Deployment", "apps/v1"),
        ("apps/v1", "Service", "v1"),
        ("extensions/v1", "Ingress", "networking.k8s.io/v1"),
        ("apps/v1", "HorizontalPodAutoscaler", ""),
        ("policy/v1", "NetworkPolicy", "networking.k8s.io/v1"),
    ],
)
def test_wrong(version: str, kind: str, right: str) -> None:
    """The version that came in its place, as far as there is one."""
    found = wrong_version(version, kind)

    assert found is not None
    problem, better = found
    assert right == better
    assert problem.sentence().startswith(f"apiVersion is {version}".replace(version, "")[:13])


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("apps/v1", "Deployment"),
        ("v1", "Pod"),
        ("autoscaling/v1", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("storage.k8s.io/v1beta1", "VolumeAttributesClass"),
        ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy"),
        ("resource.k8s.io/v1beta2", "DeviceClass"),
        # Kinds of the same names in groups of others.
        ("serving.knative.dev/v1", "Service"),
        ("batch.volcano.sh/v1alpha1", "Job"),
        ("config.openshift.io/v1", "Ingress"),
        ("gateway.networking.k8s.io/v1beta1", "HTTPRoute"),
        ("example.com/v1", "Deployment"),
        ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"),
        ("", ""),
    ],
)
def test_right(version: str, kind: str) -> None:
    """Versions that clusters may have."""
    assert wrong_version(version, kind) is None


def test_same_fields() -> None:
    """Only of some the fields are the same."""
    assert has_same_fields("autoscaling/v2beta2")
    assert not has_same_fields("networking.k8s.io/v1beta1")
