"""The LMCache server of each node: its DaemonSet, Service and NetworkPolicy as values."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, pod_security_problems, quantity
from vllm_constructs import (
    MigSlice,
    Nodes,
    PodSecurity,
    TimeSlicedGpu,
    VllmConstructsError,
    WholeGpu,
)
from vllm_constructs.accelerators.nodes import Labels
from vllm_constructs.workloads.lmcache_server import LmCacheDaemon

H100 = WholeGpu("NVIDIA-H100-80GB-HBM3")
NODES = Nodes("eks", instance_types=["a", "b"])


def daemon(**fields: Any) -> LmCacheDaemon:
    """The servers as a value."""
    given_fields: dict[str, Any] = {
        "name": "lmcache",
        "gib": 60,
        "gpu": H100,
        "nodes": Nodes(),
        "image": "lmcache/standalone:v0.5.6",
        "runtime_class": "nvidia",
        "management_cdi": False,
        "security": PodSecurity(),
        "tolerations": (),
        **fields,
    }
    return LmCacheDaemon(**given_fields)


def spec(**fields: Any) -> strategies.Manifest:
    """The pod of the servers."""
    found: strategies.Manifest = daemon(**fields).daemon_set()["spec"]["template"]["spec"]
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2**16),
    st.sampled_from([H100, WholeGpu("NVIDIA-L4", count=4), TimeSlicedGpu("NVIDIA-L4")]),
    st.sampled_from([Nodes(), Nodes("gke"), NODES]),
    st.sampled_from(
        [
            PodSecurity(),
            PodSecurity(user="root"),
            PodSecurity(user="platform"),
            PodSecurity(user=1000),
            PodSecurity(read_only_root=True),
        ]
    ),
    st.booleans(),
)
def test_validity(gib: int, gpu: Any, nodes: Nodes, security: PodSecurity, cdi: bool) -> None:  # noqa: FBT001  # drawn
    """The objects are valid on all releases, and the cache fits into the memory."""
    if nodes.platform == "gke" and isinstance(gpu, TimeSlicedGpu):
        return
    servers = daemon(
        gib=gib,
        gpu=gpu,
        nodes=nodes,
        security=security,
        management_cdi=cdi,
        runtime_class=None if cdi else "nvidia",
    )
    made = (servers.daemon_set(), servers.service(), servers.network_policy(("monitoring",)))

    assert_valid(*map(strategies.in_namespace, made))
    pod = servers.daemon_set()["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert quantity(container["resources"]["limits"]["memory"]) > (gib + 4) * 2**30
    assert f"--l1-size-gb={gib}" in container["args"]
    assert "runtimeClassName" not in pod or not cdi
    if not security.is_root:
        assert [] == pod_security_problems(pod)


def test_gpus() -> None:
    """The servers see all GPUs and request none."""
    classic = spec()["containers"][0]
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"} in classic["env"]
    assert {"cpu", "memory"} == set(classic["resources"]["requests"])
    assert "nvidia" == spec()["runtimeClassName"]

    cdi = daemon(runtime_class=None, management_cdi=True).daemon_set()["spec"]["template"]
    annotation = "nvidia.cdi.k8s.io/container.lmcache-server"
    assert {annotation: "management.nvidia.com/gpu=all"} == cdi["metadata"]["annotations"]
    names = [one["name"] for one in cdi["spec"]["containers"][0]["env"]]
    assert "NVIDIA_VISIBLE_DEVICES" not in names


def test_places() -> None:
    """They run where the GPU is, and tolerate its taints."""
    found = spec(nodes=NODES)

    assert {"nvidia.com/gpu.product": H100.product} == spec()["nodeSelector"]
    assert "nodeSelector" not in found
    terms = found["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (expression,) = terms["nodeSelectorTerms"][0]["matchExpressions"]
    key = "node.kubernetes.io/instance-type"
    assert {"key": key, "operator": "In", "values": ["a", "b"]} == expression
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert toleration in found["tolerations"]
    assert "affinity" not in spec()


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        (PodSecurity(), (True, 2000, 2000, 2000)),
        (PodSecurity(user=1000), (True, 1000, 1000, 1000)),
        (PodSecurity(user="platform"), (True, None, None, None)),
        (PodSecurity(user="root"), (None, 0, None, None)),
    ],
)
def test_user(security: PodSecurity, expected: tuple[object, ...]) -> None:
    """The image has no user, so that one is chosen unless the platform does it."""
    found = spec(security=security)["securityContext"]
    fields = ("runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup")

    assert expected == tuple(found.get(name) for name in fields)


def test_read_only_root() -> None:
    """With a read-only root it has folders for what it writes."""
    found = spec(security=PodSecurity(read_only_root=True))

    assert ["home", "tmp"] == [one["name"] for one in found["volumes"]]
    mounts = {one["name"] for one in found["containers"][0]["volumeMounts"]}
    assert {"home", "tmp"} == mounts


def test_probes() -> None:
    """A server has time to pin its cache, and is restarted when it answers no more."""
    container = spec()["containers"][0]
    ask = {"httpGet": {"path": "/healthcheck", "port": "http"}, "periodSeconds": 10}

    assert {**ask, "failureThreshold": 36} == container["startupProbe"]
    assert 430 == spec(gib=4000)["containers"][0]["startupProbe"]["failureThreshold"]
    assert ask == container["readinessProbe"]
    assert {**ask, "failureThreshold": 6} == container["livenessProbe"]


def test_service() -> None:
    """The Service leads to the server of the node."""
    found = daemon(name="kv").service()["spec"]

    assert "Local" == found["internalTrafficPolicy"]
    assert daemon(name="kv").selector == found["selector"]
    assert [{"name": "lmcache", "port": 5555, "targetPort": 5555}] == found["ports"]


def test_network_policy() -> None:
    """Engines of the namespace may connect, and Prometheus where it is named."""
    (engines,) = daemon().network_policy(())["spec"]["ingress"]
    selector = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "vllm"}}}
    assert [selector] == engines["from"]

    _, metrics = daemon().network_policy(("monitoring",))["spec"]["ingress"]
    assert [{"port": 9090, "protocol": "TCP"}] == metrics["ports"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"name": "9x"},
        (
            "LmCacheServer.name is '9x'; expected a name that begins with a letter, as Services "
            "require."
        ),
    ),
    (
        {"gib": 0},
        "LmCacheServer.gib is 0; expected an integer of GiB from 1 to 65536.",
    ),
    (
        {"gpu": "NVIDIA-L40S"},
        "LmCacheServer.gpu is 'NVIDIA-L40S'; expected a WholeGpu, TimeSlicedGpu or VirtualGpu.",
    ),
    (
        {"gpu": MigSlice("1g.10gb")},
        (
            "LmCacheServer.gpu is a MigSlice, and a server can see only one slice of its node; use "
            "KvOffload or LmCache for the models on slices."
        ),
    ),
    ({"nodes": "gke"}, "LmCacheServer.nodes is 'gke'; expected Nodes(...)."),
    ({"management_cdi": 1}, "LmCacheServer.management_cdi is 1; expected True or False."),
    ({"security": "root"}, "LmCacheServer.security is 'root'; expected PodSecurity(...)."),
    ({"runtime_class": "A"}, "LmCacheServer.runtime_class is 'A'; expected"),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED)
def test_refusals(fields: dict[str, Any], sentence: str) -> None:
    """What cannot work is refused with what would do."""
    assert sentence in strategies.refusal(lambda: daemon(**fields))


def test_nodes_of_engines() -> None:
    """An engine runs only where a server is; one that may run elsewhere is refused."""
    key = "nvidia.com/gpu.product"
    own = daemon()
    own.check_nodes("qwen", {key: (str(H100.product),), "zone": ("a",)})
    daemon(nodes=Nodes("any")).check_nodes("qwen", {})

    elsewhere: list[tuple[Labels, str]] = [({}, "any"), ({key: ("NVIDIA-L40S",)}, "NVIDIA-L40S")]
    for labels, found in elsewhere:
        with pytest.raises(VllmConstructsError) as refusal:
            own.check_nodes("qwen", labels)
        assert str(refusal.value) == (
            f"qwen runs on nodes whose {key} is {found}, and the LmCacheServer 'lmcache' on those "
            f"where it is {H100.product}, so that a pod may have no server on its node; give both "
            "the same product and nodes."
        )
