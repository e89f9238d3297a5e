"""Security and hygiene (H)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .mistake import (
    ARGS,
    BUDGET,
    DEPLOYMENT,
    ENGINE,
    HPA,
    INSTANCE,
    LEGAL,
    LIMITS,
    POD,
    PODS,
    REQUESTS,
    SCALER,
    SHM,
    VARIABLES,
    WEIGHTS,
    Change,
    Mistake,
    Step,
    add,
    annotation,
    argue,
    both,
    drop,
    pod,
    put,
    say,
    variable,
)


def both_kinds(rule: str, what: str, change: Callable[..., Change], words: str) -> list[Mistake]:
    """A mistake that Pod Security sees: in a template it is a warning, in a pod a refusal.

    Args:
        rule: The rule.
        what: What is wrong.
        change: Gives the change from the path of the pod's spec.
        words: What the API server names.
    """
    deployment = Mistake(rule, what, DEPLOYMENT, change(*POD), warned=words, admitted=PODS)
    return [deployment, Mistake(rule, what, "Pod", change("spec"), refused=words)]


def _security(where: Step, name: str, value: Any) -> Callable[..., Change]:
    """A field of the container's or of the pod's security context."""
    inner: tuple[Step, ...] = () if where == "pod" else ("containers", 0)
    return lambda *path: put(*path, *inner, "securityContext", name, to=value)


MISTAKES = [
    Mistake(
        "H01", "a key in the arguments", DEPLOYMENT, argue("--api-key=sk-example"), admitted=ARGS
    ),
    Mistake(
        "H01",
        "a token as a variable",
        DEPLOYMENT,
        variable("HUGGING_FACE_HUB_TOKEN", "hf_example"),
        admitted=VARIABLES,
        ours=pod(env={"HUGGING_FACE_HUB_TOKEN": "hf_example"}),
    ),
    Mistake(
        "H01",
        "a token as text and as a reference",
        DEPLOYMENT,
        put(*ENGINE, "env", 5, "value", to="hf_example"),
        refused="may not be specified when `value` is not empty",
    ),
    Mistake(
        "H01",
        "a key in a ConfigMap",
        "ConfigMap",
        say("data", "engine.yaml", old="max-model-len", new="api-key: sk-example\nmax-model-len"),
        admitted="a ConfigMap holds any text",
    ),
    *both_kinds("H02", "root", _security("pod", "runAsUser", 0), "runAsUser=0"),
    *both_kinds(
        "H02", "root left possible", _security("pod", "runAsNonRoot", value=False), "runAsNonRoot"
    ),
    *both_kinds(
        "H02",
        "privilege escalation",
        _security("engine", "allowPrivilegeEscalation", value=True),
        "allowPrivilegeEscalation != false",
    ),
    *both_kinds(
        "H02",
        "capabilities kept",
        _security("engine", "capabilities", {}),
        "unrestricted capabilities",
    ),
    *both_kinds(
        "H02",
        "no seccomp profile",
        lambda *path: drop(*path, "securityContext", "seccompProfile"),
        "seccompProfile",
    ),
    Mistake(
        "H03",
        "a cache below /root for another user",
        DEPLOYMENT,
        put(*ENGINE, "volumeMounts", WEIGHTS, "mountPath", to="/root/.cache/huggingface"),
        admitted="file permissions of an image are not seen",
    ),
    Mistake(
        "H03",
        "a cache below /root for another user",
        "Pod",
        put(
            *("spec", "containers", 0, "volumeMounts", WEIGHTS, "mountPath"),
            to="/root/.cache/huggingface",
        ),
        admitted='Pod Security "restricted" asks who runs, not where it writes',
    ),
    Mistake(
        "H03",
        "HOME unset",
        DEPLOYMENT,
        drop(*ENGINE, "env", 0),
        admitted="the API server does not know that vLLM writes there",
    ),
    *both_kinds("H04", "hostIPC", lambda *path: put(*path, "hostIPC", to=True), "hostIPC=true"),
    *both_kinds("H04", "hostPID", lambda *path: put(*path, "hostPID", to=True), "hostPID=true"),
    *both_kinds(
        "H04", "hostNetwork", lambda *path: put(*path, "hostNetwork", to=True), "hostNetwork=true"
    ),
    # Of a pod only: whether the template is refused too depends on --allow-privileged.
    Mistake(
        "H04",
        "privileged",
        "Pod",
        put("spec", "containers", 0, "securityContext", to={"privileged": True}),
        refused="privileged",
    ),
    Mistake(
        "H04",
        "privileged without escalation",
        DEPLOYMENT,
        put(*ENGINE, "securityContext", "privileged", to=True),
        refused="cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    ),
    Mistake(
        "H05",
        "the image's latest tag",
        DEPLOYMENT,
        put(*ENGINE, "image", to="vllm/vllm-openai:latest"),
        admitted=LEGAL,
        ours=pod(image="vllm/vllm-openai"),
    ),
    Mistake("H05", "no image", DEPLOYMENT, drop(*ENGINE, "image"), refused="image: Required value"),
    Mistake(
        "H05",
        "a space behind the image",
        DEPLOYMENT,
        put(*ENGINE, "image", to="vllm/vllm-openai:v0.33.0 "),
        admitted=PODS,
        ours=pod(image="vllm/vllm-openai:v0.33.0 "),
    ),
    Mistake(
        "H05",
        "a space behind the image",
        "Pod",
        put("spec", "containers", 0, "image", to="vllm/vllm-openai:v0.33.0 "),
        refused="must not have leading or trailing whitespace",
    ),
    Mistake(
        "H05",
        "no tag behind the colon",
        DEPLOYMENT,
        put(*ENGINE, "image", to="vllm/vllm-openai:"),
        admitted="kubelet reads the image's name, and reports InvalidImageName",
        ours=pod(image="vllm/vllm-openai:"),
    ),
    Mistake(
        "H06",
        "the developer's mode",
        DEPLOYMENT,
        variable("VLLM_SERVER_DEV_MODE", "1"),
        admitted=VARIABLES,
        ours=pod(env={"VLLM_SERVER_DEV_MODE": "1"}),
    ),
    Mistake(
        "H07",
        "a token of the cluster",
        DEPLOYMENT,
        drop(*POD, "automountServiceAccountToken"),
        admitted="it is Kubernetes' own default",
    ),
    Mistake(
        "H08",
        "the name of a Hugging Face model as it is",
        DEPLOYMENT,
        put("metadata", "name", to="Qwen2.5-7B-Instruct"),
        refused="a lowercase RFC 1123 subdomain must consist of",
    ),
    Mistake(
        "H08",
        "an underscore in a name",
        "Service",
        put("metadata", "name", to="qwen_7b"),
        refused='metadata.name: Invalid value: "qwen_7b"',
    ),
    Mistake(
        "H08",
        "a Hugging Face id as a label",
        DEPLOYMENT,
        put("spec", "template", "metadata", "labels", "model", to="Qwen/Qwen2.5-7B-Instruct"),
        refused="a valid label must be an empty string or consist of alphanumeric characters",
    ),
    Mistake(
        "H08",
        "a label of 64 characters",
        DEPLOYMENT,
        put("metadata", "labels", INSTANCE, to="x" * 64),
        refused="must be no more than 63",
    ),
    Mistake(
        "H08",
        "a Deployment's name of 64 characters",
        DEPLOYMENT,
        put("metadata", "name", to="x" * 64),
        admitted="it may have 253, and the names of its pods are cut",
        warned="a DNS label is recommended",
    ),
    Mistake(
        "H08",
        "a Service's name of 64 characters",
        "Service",
        put("metadata", "name", to="x" * 64),
        refused="must be no more than 63",
    ),
    Mistake(
        "H08",
        "a Service's name that starts with a digit",
        "Service",
        put("metadata", "name", to="7b-qwen"),
        refused="a DNS-1035 label must consist of",
        admitted="newer releases take it, older ones do not",
        admitted_from="1.37",
    ),
    Mistake(
        "H08",
        "a port's name of 16 characters",
        DEPLOYMENT,
        put(*ENGINE, "ports", 0, "name", to="vllm-http-server"),
        refused="must be no more than 15 characters",
    ),
    Mistake(
        "H08",
        "an annotation with two slashes",
        "Ingress",
        annotation("nginx.org/proxy/buffering", "false"),
        refused='metadata.annotations: Invalid value: "nginx.org/proxy/buffering"',
    ),
    Mistake(
        "H08",
        "a variable with an equals sign",
        DEPLOYMENT,
        variable("NCCL_DEBUG=WARN", ""),
        refused="printable ASCII characters other than '='",
    ),
    Mistake(
        "H08",
        "a variable that no shell can read",
        DEPLOYMENT,
        variable("nccl.debug", "WARN"),
        admitted="all printable characters but = may be in the name",
        ours=pod(env={"nccl.debug": "WARN"}),
    ),
    Mistake(
        "H09",
        "an unknown field",
        DEPLOYMENT,
        put("spec", "replica", to=2),
        refused=".spec.replica: field not declared in schema",
    ),
    Mistake(
        "H09",
        "an unknown field of a container",
        DEPLOYMENT,
        put(*ENGINE, "startupProbe", "initialDelaySecond", to=10),
        refused="startupProbe.initialDelaySecond: field not declared in schema",
    ),
    Mistake(
        "H09",
        "an unknown field of a custom kind",
        SCALER,
        put("spec", "minReplicas", to=1),
        refused=".spec.minReplicas: field not declared in schema",
    ),
    Mistake(
        "H09",
        "a word for a number",
        DEPLOYMENT,
        put("spec", "replicas", to="two"),
        refused=".spec.replicas: expected numeric",
    ),
    Mistake(
        "H09",
        "an invalid unit",
        DEPLOYMENT,
        put(*LIMITS, "memory", to="64GB"),
        refused="quantities must match the regular expression",
        ours=pod(memory="64GB"),
    ),
    Mistake(
        "H09",
        "milli for mega",
        DEPLOYMENT,
        both(put(*LIMITS, "memory", to="64000m"), put(*REQUESTS, "memory", to="32000m")),
        admitted="a thousandth of a byte is a legal unit",
        ours=pod(memory="64000m"),
    ),
    Mistake(
        "H09",
        "a pull policy in lower case",
        DEPLOYMENT,
        put(*ENGINE, "imagePullPolicy", to="always"),
        refused='supported values: "Always", "IfNotPresent", "Never"',
    ),
    Mistake(
        "H09",
        "a field that is newer than the cluster",
        DEPLOYMENT,
        put(*POD, "volumes", SHM, "emptyDir", "mode", to=0o777),
        refused="emptyDir.mode: field not declared in schema",
        admitted="a release that knows it drops it while its feature gate is off",
        admitted_from="1.37",
        field=(*POD, "volumes", SHM, "emptyDir", "mode"),
        dropped_by=("1.37",),
    ),
    Mistake(
        "H09",
        "a scaler's tolerance, behind a feature gate",
        HPA,
        put("spec", "behavior", "scaleUp", "tolerance", to="0.05"),
        admitted="older releases drop it",
        field=("spec", "behavior", "scaleUp", "tolerance"),
        dropped_by=("1.34",),
    ),
    Mistake(
        "H09",
        "weights in an image volume, behind a feature gate",
        DEPLOYMENT,
        put(
            *(*POD, "volumes", WEIGHTS),
            to={"name": "model-cache", "image": {"reference": "example.com/qwen:1"}},
        ),
        admitted="older releases drop the whole volume, and what mounts it",
        field=(*POD, "volumes", WEIGHTS, "image"),
        dropped_by=("1.34",),
    ),
    Mistake(
        "H09",
        "an API version that is gone",
        BUDGET,
        put("apiVersion", to="policy/v1beta1"),
        refused='no matches for kind "PodDisruptionBudget" in version "policy/v1beta1"',
        by_kubectl=True,
    ),
    Mistake(
        "H09",
        "an API version of HPAs that is gone",
        HPA,
        put("apiVersion", to="autoscaling/v2beta2"),
        refused='no matches for kind "HorizontalPodAutoscaler" in version "autoscaling/v2beta2"',
        by_kubectl=True,
    ),
    Mistake(
        "H10",
        "a variable twice",
        DEPLOYMENT,
        both(variable("NCCL_DEBUG", "WARN"), variable("NCCL_DEBUG", "INFO")),
        refused='.env: duplicate entries for key [name="NCCL_DEBUG"]',
    ),
    Mistake(
        "H10",
        "a port of a container twice",
        DEPLOYMENT,
        add(*ENGINE, "ports", item={"name": "metrics", "containerPort": 8000}),
        refused='.ports: duplicate entries for key [containerPort=8000,protocol="TCP"]',
    ),
    Mistake(
        "H10",
        "a Secret for images twice",
        DEPLOYMENT,
        put(*POD, "imagePullSecrets", to=[{"name": "registry"}] * 2),
        refused='.imagePullSecrets: duplicate entries for key [name="registry"]',
    ),
    Mistake(
        "H10",
        "a port of a Service twice",
        "Service",
        add("spec", "ports", item={"name": "metrics", "port": 8000, "targetPort": 8000}),
        refused='.ports: duplicate entries for key [port=8000,protocol="TCP"]',
    ),
]
