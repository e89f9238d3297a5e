"""An upgrade as text, and for programs."""

import json
from copy import deepcopy
from typing import Any

import jsonschema
import pytest

from vllm_constructs.upgrade import report
from vllm_constructs.upgrade.upgrade import Upgrade

from .both import changed, sample, upgraded
from .models import deployment, group, pod, scaler, service, workload

Manifest = dict[str, Any]
IMAGE = ("spec", "template", "spec", "containers", 0, "image")

_IDENTITY = {
    "type": "object",
    "properties": {
        name: {"type": "string"} for name in ("apiVersion", "kind", "namespace", "name")
    },
    "required": ["apiVersion", "kind", "namespace", "name"],
    "additionalProperties": False,
}
_TEXT, _MAYBE = {"type": "string"}, {"type": ["string", "null"]}
_NUMBER = {"type": ["integer", "null"]}
_COUNTS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in ("before", "peak", "after")},
        "required": ["before", "peak", "after"],
        "additionalProperties": False,
    },
}
_CHANGES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"field": _TEXT, "message": _TEXT},
        "required": ["field", "message"],
        "additionalProperties": False,
    },
}


def _listed(**fields: Any) -> dict[str, Any]:
    properties = {"object": _IDENTITY, **fields}
    item = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": item}


_REFUSALS = _listed(field=_TEXT, message=_TEXT, reason=_TEXT, unless=_MAYBE, by=_TEXT, advice=_TEXT)
_PODS = {
    "type": "object",
    "properties": {"before": _NUMBER, "after": _NUMBER, "at_most": {"type": "boolean"}},
    "required": ["before", "after", "at_most"],
    "additionalProperties": False,
}
_TEXTS = {"type": "array", "items": _TEXT}
_FIELDS: dict[str, Any] = {
    "version": {"const": 1},
    "refused": _REFUSALS,
    "doubtful": _REFUSALS,
    "rollouts": _listed(
        rolls={"type": "boolean"},
        strategy=_MAYBE,
        surge=_NUMBER,
        unavailable=_NUMBER,
        held=_MAYBE,
        pods=_PODS,
        gpus=_COUNTS,
        changes=_CHANGES,
        note=_MAYBE,
    ),
    "lost": _listed(reason=_TEXT),
    "gone": _listed(losses=_TEXTS, gpus=_COUNTS),
    "new": _listed(),
    "changed": _listed(changes=_CHANGES, notes=_TEXTS),
    "gpus": _COUNTS,
    "not_compared": {"type": "integer"},
}
SCHEMA = {
    "type": "object",
    "properties": _FIELDS,
    "required": list(_FIELDS),
    "additionalProperties": False,
}


def everything() -> Upgrade:
    """An upgrade that has something of all."""
    claim, secret = sample("PersistentVolumeClaim"), sample("Secret")
    old = [
        deployment(2),
        service(),
        claim,
        secret,
        sample("RoleBinding"),
        sample("PodDisruptionBudget"),
        {"kind": "ConfigMap"},
    ]
    new = deepcopy(old[:-2])
    new[0] = changed(new[0], *IMAGE, to="vllm/vllm-openai:v0.33.1")
    new[1]["spec"]["ports"][0]["port"] = 8080
    new[2]["spec"]["resources"]["requests"]["storage"] = "300Gi"
    new[3]["stringData"]["b"] = "hidden"
    new[4]["roleRef"]["name"] = "other"
    return upgraded(old, [*new, sample("ConfigMap")])


def test_text() -> None:
    """Everything that there is to tell, group by group."""
    found = report.text(everything())

    assert (
        """refused:
  RoleBinding x
    roleRef.name: 'x' -> 'other'
    refused by the API server: roleRef cannot be changed; delete the object first: kubectl \
replace --force does both

may be refused:
  PersistentVolumeClaim x
    spec.resources.requests.storage: '200Gi' -> '300Gi'
    unless the StorageClass bed has allowVolumeExpansion: true, refused by the API server: only \
claims of a StorageClass with allowVolumeExpansion: true can grow; set it in the StorageClass if \
its driver can expand volumes

pods:
  Deployment llm/qwen: rolls 2 pods (RollingUpdate: 1 more at a time)
    spec.template.spec.containers[vllm].image: 'vllm/vllm-openai:v0.33.0' -> \
'vllm/vllm-openai:v0.33.1'
    GPUs: 2 x NVIDIA-L40S now, 3 on the way, 2 after, so 1 more has to be free

lost requests:
  Deployment llm/qwen
    no preStop hook waits for load balancers and no --shutdown-timeout waits for the requests \
that run: requests are lost at each rollout and scale-down (P06)
  Service llm/qwen
    clients of port 80 are refused

disappears:
  PodDisruptionBudget x
    a node that is drained may evict all pods at once
  kubectl apply leaves them in the cluster; kubectl apply --prune, helm upgrade and GitOps with \
pruning delete them.

appears:
  ConfigMap x

changes:
  Service llm/qwen
    spec.ports[http].port: 80 -> 8080
  Secret x
    data.b changes (not shown)

Objects: 1 refused, 1 may be refused, 1 roll, 1 disappear, 1 appear, 2 change.
kubectl applies the other objects nevertheless.
Not compared: 1 object without a kind or name."""
        == found
    )
    assert "hidden" not in found


def test_json() -> None:
    """The same for a program."""
    found = report.as_dict(everything())

    jsonschema.validate(json.loads(json.dumps(found)), SCHEMA)
    assert "hidden" not in json.dumps(found)
    assert ["RoleBinding"] == [one["object"]["kind"] for one in found["refused"]]
    assert {"NVIDIA-L40S": {"before": 2, "peak": 3, "after": 2}} == found["gpus"]
    (rollout,) = found["rollouts"]
    assert {"before": 2, "after": 2, "at_most": False} == rollout["pods"]


def test_nothing() -> None:
    """Nothing to tell."""
    upgrade = upgraded(deployment(), deployment())

    assert "Nothing changes." == report.text(upgrade)
    jsonschema.validate(report.as_dict(upgrade), SCHEMA)


def rolled(manifest: Manifest) -> Manifest:
    """A workload with another image."""
    return changed(manifest, *IMAGE, to="other")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (deployment(1), deployment(3), "1 pod, 3 after"),
        (deployment(3), deployment(1), "3 pods, 1 after"),
        (
            deployment(3, {"type": "Recreate"}),
            rolled(deployment(3, {"type": "Recreate"})),
            "rolls 3 pods (Recreate: all stop before a new one starts)",
        ),
        (
            deployment(8),
            rolled(deployment(8)),
            "rolls 8 pods (RollingUpdate: 2 more at a time, 2 fewer at a time)",
        ),
        (
            workload("StatefulSet", pod(), replicas=2, updateStrategy={"type": "OnDelete"}),
            rolled(workload("StatefulSet", pod(), replicas=2, updateStrategy={"type": "OnDelete"})),
            "does not roll now, as a pod is replaced when somebody deletes it",
        ),
        (
            workload("DaemonSet", pod()),
            rolled(workload("DaemonSet", pod())),
            "rolls its pods (RollingUpdate: 1 fewer at a time)",
        ),
        (group(replicas=2), group(4, 2), "rolls 2 groups (RollingUpdate: 1 fewer at a time)"),
    ],
)
def test_how(old: Manifest, new: Manifest, expected: str) -> None:
    """How pods are replaced, in a few words."""
    (found,) = upgraded(old, new).rollouts

    assert expected == report.how(found)


def test_how_operated() -> None:
    """An operator has its own ways."""
    old = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "a"},
        "spec": {"predictor": {"model": {"runtime": "a"}}},
    }
    (found,) = upgraded(old, changed(old, "spec", "predictor", "minReplicas", to=2)).rollouts

    assert "rolls its pods, as its operator does" == report.how(found)


def test_most() -> None:
    """Of many changes, the first ones are told; of scaled workloads, the most pods."""
    old = [deployment(None), scaler(1, 4)]
    new = deepcopy(old)
    env = [{"name": f"A{i}", "value": "1"} for i in range(20)]
    new[0]["spec"]["template"]["spec"]["containers"][0]["args"] = ["a"]
    new[0]["spec"]["template"]["metadata"]["labels"] |= {f"a{i}": "b" for i in range(20)}
    new[0]["metadata"]["annotations"] = {f"a{i}": "b" for i in range(20)}
    new[0]["spec"]["template"]["spec"]["containers"][0]["env"] = env
    found = report.text(upgraded(old, new))

    assert "rolls at most 4 pods" in found
    assert "GPUs at most: 4 x NVIDIA-L40S now, 5 on the way, 4 after" in found
    assert "more changes of its pods" in found


def test_total() -> None:
    """The GPUs of several workloads at the same time."""
    other = changed(deployment(2), "metadata", "name", to="other")
    old = [deployment(3), other]

    found = report.text(upgraded(old, [rolled(one) for one in old]))

    title = "GPUs of all that changes:\n  "
    assert f"{title}5 x NVIDIA-L40S now, 7 on the way, 5 after" in found
    gone = report.text(upgraded(old, [rolled(deployment(3))]))
    assert f"{title}5 x NVIDIA-L40S now, 6 on the way, 3 after" in gone
