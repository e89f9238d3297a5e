"""The container: what it runs, asks for and is told, and how it starts and ends."""

import re
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

from tests import strategies
from tests.support import quantity
from vllm_constructs import (
    Drain,
    EngineArgs,
    EnvVarSource,
    EphemeralCache,
    GpuPodSpec,
    Kubernetes,
    WholeGpu,
)
from vllm_constructs.engine.command_line_writer import arguments
from vllm_constructs.workloads.pod_variables import with_references


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(model="gpt2", gpu=WholeGpu("NVIDIA-L4"), **fields)


def variables(spec: strategies.Manifest) -> dict[str, str]:
    """Return the variables of the engine that have a value."""
    return {one["name"]: one["value"] for one in spec["containers"][0]["env"] if "value" in one}


@settings(max_examples=50, deadline=None)
@given(strategies.pods(), strategies.kubernetes())
def test_probes(given_pod: GpuPodSpec, target: Kubernetes) -> None:
    """Liveness never runs before startup has passed, whose budget covers the load time."""
    spec = strategies.spec_of(given_pod, target)
    container = spec["containers"][0]
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    budget = startup["periodSeconds"] * startup["failureThreshold"]

    assert budget - startup["periodSeconds"] >= given_pod.startup.total
    assert int(variables(spec)["VLLM_ENGINE_READY_TIMEOUT_S"]) >= budget
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 30
    assert liveness["timeoutSeconds"] > 1
    port = {"name": "http", "containerPort": given_pod.port, "protocol": "TCP"}
    assert container["ports"] == [port]
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[name]["httpGet"] == {"path": "/health", "port": "http"}
        assert "initialDelaySeconds" not in container[name]


@settings(max_examples=50, deadline=None)
@given(strategies.pods(), strategies.kubernetes())
def test_draining(given_pod: GpuPodSpec, target: Kubernetes) -> None:
    """The grace period holds the pause, the drain and the clean-up."""
    spec = strategies.spec_of(given_pod, target)
    program, option, text, *numbers = spec["containers"][0]["lifecycle"]["preStop"]["exec"][
        "command"
    ]

    assert (program, option) == ("python3", "-c")
    compile(text, "hook", "exec")
    port, pause, drain = map(int, numbers)
    assert port == given_pod.port
    assert spec["terminationGracePeriodSeconds"] >= pause + drain + 15
    assert given_pod.drain is not None or drain == given_pod.response_timeout


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_keep_alive(given_pod: GpuPodSpec) -> None:
    """The engine keeps idle connections longer than what is in front of it."""
    kept = int(variables(strategies.spec_of(given_pod))["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"])

    assert kept > max(given_pod.response_timeout, 60)


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_resources(given_pod: GpuPodSpec) -> None:
    """GPUs as requested are GPUs as limited, and no request is above its limit."""
    resources = strategies.spec_of(given_pod)["containers"][0]["resources"]
    requests, limits = resources["requests"], resources["limits"]
    gpu = given_pod.gpu

    assert requests[gpu.resource] == limits[gpu.resource] == str(gpu.count)
    assert {"cpu", "memory", gpu.resource} <= set(requests)
    assert "memory" in limits
    for name in set(requests) & set(limits):
        assert quantity(requests[name]) <= quantity(limits[name])
    vendors = ("nvidia.com/", "amd.com/", "gpu.intel.com/", "habana.ai/", "google.com/")
    assert [gpu.resource] == [name for name in limits if name.startswith(vendors)]


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_environment(given_pod: GpuPodSpec) -> None:
    """Each variable is there once, and kubelet replaces only references to those before it."""
    entries = strategies.spec_of(given_pod)["containers"][0]["env"]
    found = {one["name"]: one for one in entries}

    assert len(found) == len(entries)
    for name, value in given_pod.env.items():
        assert found[name]["value"].replace("$$(", "$(") == value
        references = re.findall(r"\$\(([^)]*)\)?", found[name]["value"].replace("$$(", ""))
        before = [one["name"] for one in entries[: entries.index(found[name])]]
        assert set(references) <= set(before)
    for name, secret in (("HF_TOKEN", given_pod.hf_token), ("VLLM_API_KEY", given_pod.api_key)):
        assert (name in found) is (secret is not None)
        if secret is not None:
            source = {"name": secret.secret_name, "key": secret.key}
            assert found[name] == {"name": name, "valueFrom": {"secretKeyRef": source}}


def test_environment_names() -> None:
    """The engine reads every variable of vLLM that the pod sets."""
    known = {one["name"] for one in strategies.facts("vllm-0.33.0-envs.json")}

    names = {name for name in variables(pod().manifest()) if name.startswith("VLLM_")}

    assert len(names) == 2
    assert names <= known


@settings(max_examples=50, deadline=None)
@given(strategies.pods())
def test_arguments(given_pod: GpuPodSpec) -> None:
    """The model comes first, then each flag once, and kubelet replaces nothing in them."""
    container = strategies.spec_of(given_pod)["containers"][0]
    args = container["args"]
    flags = [one.partition("=")[0] for one in args if one.startswith("--")]

    # Where a killed engine leaves files, a shell removes them first.
    assert container["command"][-2:] == ["vllm", "serve"]
    assert args[0] == given_pod.model
    assert len(flags) == len(set(flags))
    names = {one["name"] for one in container["env"]}
    references = re.findall(r"\$\(([^)]*)", " ".join(args).replace("$$(", ""))
    assert set(references) <= names
    if given_pod.engine.delivery == "args":
        escape = partial(with_references, known=frozenset(given_pod.env))
        assert args[1:] == arguments(given_pod.options(), given_pod.release, escape=escape)
        assert "--shutdown-timeout" not in flags


def test_ephemeral_size() -> None:
    """A size of the node's disk is also asked for, so that the pod goes where there is room."""
    spec = pod(cache=EphemeralCache(size="100Gi")).manifest()
    resources = spec["containers"][0]["resources"]

    assert resources["requests"]["ephemeral-storage"] == "100Gi"
    assert resources["limits"]["ephemeral-storage"] == "100Gi"


@pytest.mark.parametrize(
    ("release", "expected"),
    [("1.29", {"exec": {"command": ["sleep", "15"]}}), ("1.30", {"sleep": {"seconds": 15}})],
)
def test_pause(release: str, expected: dict[str, Any]) -> None:
    """Without a drain, the hook is the pause alone, which is native where the target has that."""
    engine = EngineArgs(runner="pooling")
    drain = Drain(seconds=0)
    spec = strategies.spec_of(
        GpuPodSpec(model="a/b", gpu=WholeGpu("NVIDIA-L4"), engine=engine, drain=drain),
        Kubernetes(release),
    )

    assert spec["containers"][0]["lifecycle"] == {"preStop": expected}


def test_reference_in_flag() -> None:
    """A flag may refer to a variable in `env`, and to no other."""
    engine = EngineArgs(otlp_traces_endpoint="http://$(HOST_IP):4317/$(HOME)")
    found = pod(engine=engine, env={"HOST_IP": EnvVarSource.from_field("status.hostIP")})

    args = found.manifest()["containers"][0]["args"]

    assert "--otlp-traces-endpoint=http://$(HOST_IP):4317/$$(HOME)" in args


def test_reference_in_file() -> None:
    """The kubelet replaces nothing in a file, so a reference there is rejected."""
    engine = EngineArgs(otlp_traces_endpoint="http://$(HOST_IP):4317", delivery="config-map")
    env = {"HOST_IP": EnvVarSource.from_field("status.hostIP")}

    sentence = strategies.refusal(lambda: pod(engine=engine, env=env))

    assert "refers to the variable 'HOST_IP'" in sentence
    assert "EngineArgs(delivery='args')" in sentence
