"""Placement: where a pod runs, as its options say together."""

import warnings
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from vllm_constructs import (
    Affinity,
    Drain,
    EngineArgs,
    GpuPodSpec,
    Kubernetes,
    MigSlice,
    NodeRequirement,
    Nodes,
    Rollout,
    TimeSlicedGpu,
    Toleration,
    TopologySpread,
    VirtualGpu,
    VllmConstructsWarning,
    WholeGpu,
)
from vllm_constructs.accelerators.nodes import platforms
from vllm_constructs.workloads import deployment
from vllm_constructs.workloads.placement import is_longer
from vllm_constructs.workloads.workload import Workload

PRODUCT = "nvidia.com/gpu.product"
GKE = "cloud.google.com/gke-accelerator"
GKE_SPOT = "cloud.google.com/gke-spot"
KARPENTER = "karpenter.k8s.aws/instance-gpu-name"
KARPENTER_SPOT = "karpenter.sh/capacity-type"
INSTANCE = "node.kubernetes.io/instance-type"
ZONE = "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

L4 = WholeGpu("NVIDIA-L4")
T4 = WholeGpu("Tesla-T4")
H100 = WholeGpu("NVIDIA-H100-80GB-HBM3")
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "gpt2", "gpu": L4, **fields})


def spec_of(**fields: Any) -> strategies.Manifest:
    """Return the `spec` of a small pod with these fields, which every release takes."""
    spec = pod(**fields).manifest()
    metadata = {"name": "qwen", "namespace": "llm"}
    assert validate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}) == []
    return spec


def selected(**fields: Any) -> dict[str, str]:
    """Return the `nodeSelector` of a small pod with these fields."""
    found: dict[str, str] = spec_of(**fields).get("nodeSelector", {})
    return found


def required(spec: strategies.Manifest) -> dict[str, Any]:
    """Return the values that the pod's node affinity requires, by their labels."""
    terms = spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert len(terms) == 1
    return {one["key"]: one.get("values") for one in terms[0]["matchExpressions"]}


def test_default() -> None:
    """The nodes are those that GPU feature discovery labels, beside the user's own labels."""
    spec = spec_of(node_selector={"team": "search"})

    assert spec["nodeSelector"] == {PRODUCT: "NVIDIA-L4", "team": "search"}
    assert spec["tolerations"] == [TAINT]
    assert "affinity" not in spec
    assert spec == spec_of(node_selector={"team": "search"}, nodes=Nodes("feature-discovery"))


def test_any_gpu() -> None:
    """A pod that takes any GPU, or any node, selects no nodes."""
    assert "nodeSelector" not in spec_of(gpu=WholeGpu())
    assert "nodeSelector" not in spec_of(nodes=Nodes("any"))
    assert selected(nodes=Nodes("any"), node_selector={"pool": "gpu"}) == {"pool": "gpu"}


def test_platform() -> None:
    """The labels of a platform come instead of those of discovery, beside the user's own."""
    own = {"team": "search", ZONE: "a"}

    assert selected(nodes=Nodes("gke"), node_selector=own) == {GKE: "nvidia-l4", **own}
    assert selected(nodes=Nodes("karpenter"), node_selector=own) == {KARPENTER: "l4", **own}
    labels = Nodes(labels={"pool": "l4"})
    assert selected(nodes=labels, node_selector=own) == {"pool": "l4", **own}


def test_several_values() -> None:
    """A label that may have several values is required, beside what the user requires."""
    mine = Affinity(
        nodes=[NodeRequirement(ZONE, ["a", "b"])], preferred_nodes=[NodeRequirement("fast")]
    )
    spec = spec_of(gpu=H100, nodes=Nodes("gke"), affinity=mine, node_selector={"team": "x"})

    assert spec["nodeSelector"] == {"team": "x"}
    assert required(spec) == {GKE: ["nvidia-h100-80gb", "nvidia-h100-mega-80gb"], ZONE: ["a", "b"]}
    preferred = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred == [
        {
            "weight": 100,
            "preference": {"matchExpressions": [{"key": "fast", "operator": "Exists"}]},
        }
    ]


def test_instance_types() -> None:
    """Where a platform has no label of the product, its instance types with enough GPUs do."""
    four = spec_of(gpu=WholeGpu("NVIDIA-L4", count=4), nodes=Nodes("eks"))
    only = Nodes("eks", instance_types=["g6.xlarge", "g6.2xlarge"])

    types = required(four)[INSTANCE]
    assert {"g6.12xlarge", "g6.48xlarge"} <= {*types}
    assert "g6.xlarge" not in types
    assert required(spec_of(nodes=only)) == {INSTANCE: ["g6.xlarge", "g6.2xlarge"]}
    one = Nodes("eks", instance_types=["g6.xlarge"])
    assert selected(nodes=one) == {INSTANCE: "g6.xlarge"}


def test_tolerations() -> None:
    """The taint of the GPU is tolerated first, then those of the platform, then the user's."""
    mine = Toleration(key="team", value="search", effect="NoExecute")
    spec = spec_of(gpu=T4, nodes=Nodes("aks"), tolerations=[mine])

    assert spec["tolerations"] == [
        TAINT,
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
        {"key": "team", "operator": "Equal", "value": "search", "effect": "NoExecute"},
    ]


@pytest.mark.parametrize(
    ("label", "value", "gpu"),
    [
        (GKE, "nvidia-l4", L4),
        (GKE, "nvidia-h100-mega-80gb", H100),
        (KARPENTER, "l4", L4),
        (KARPENTER, "a100", WholeGpu("NVIDIA-A100-SXM4-40GB")),
        (KARPENTER, "a100", WholeGpu("NVIDIA-A100-SXM4-80GB", count=8)),
        (INSTANCE, "g6.xlarge", L4),
        (INSTANCE, "Standard_NC4as_T4_v3", T4),
        ("gpu.nvidia.com/class", "H100_NVLINK_80GB", H100),
        ("aliyun.accelerator/nvidia_name", "NVIDIA-L4", L4),
        (GKE, "nvidia-l4", WholeGpu()),
    ],
)
def test_label_of_cloud(label: str, value: str, gpu: Any) -> None:
    """A label of a cloud that names the GPU is enough: nothing else selects the nodes."""
    spec = spec_of(gpu=gpu, node_selector={label: value, "team": "search"})

    assert spec["nodeSelector"] == {label: value, "team": "search"}
    assert "affinity" not in spec
    assert pod(gpu=gpu, node_selector={label: value}).nodes == Nodes("any")


@pytest.mark.parametrize(
    ("label", "value"), [(INSTANCE, "m5.large"), (GKE, "nvidia-next"), (ZONE, "a"), ("l4", "l4")]
)
def test_other_label(label: str, value: str) -> None:
    """A label that names no GPU stands beside that of discovery."""
    assert selected(node_selector={label: value}) == {PRODUCT: "NVIDIA-L4", label: value}


@pytest.mark.parametrize(
    ("label", "value", "products"),
    [
        (GKE, "nvidia-h100-80gb", "NVIDIA-H100-80GB-HBM3"),
        (GKE, "nvidia-tesla-t4", "Tesla-T4"),
        (KARPENTER, "a100", "NVIDIA-A100-SXM4-40GB or NVIDIA-A100-SXM4-80GB"),
        (INSTANCE, "p5.48xlarge", "NVIDIA-H100-80GB-HBM3"),
        ("gpu.nvidia.com/class", "A40", "NVIDIA-A40"),
    ],
)
@pytest.mark.parametrize("nodes", [None, Nodes("any"), Nodes(labels={"pool": "gpu"})])
def test_label_of_other_gpu(label: str, value: str, products: str, nodes: Nodes | None) -> None:
    """A label that names another GPU is rejected, however the nodes are found."""
    sentence = strategies.refusal(lambda: pod(node_selector={label: value}, nodes=nodes))

    assert sentence == (
        f"node_selector[{label!r}] is {value!r}, a node with {products}, but gpu is NVIDIA-L4; "
        "change one of them."
    )


@pytest.mark.parametrize("gpu", [MigSlice("1g.10gb"), VirtualGpu()])
def test_label_without_product(gpu: Any) -> None:
    """A GPU whose product is not given goes with a label of any product."""
    assert selected(gpu=gpu, node_selector={GKE: "nvidia-a100-80gb"})[GKE] == "nvidia-a100-80gb"


# The products that a platform has a label for.
KNOWN = [
    (platform, product)
    for platform, data in sorted(platforms().items())
    for product in sorted({**data.get("values", {}), **data.get("instances", {})})
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KNOWN))
def test_labels_agree(known: tuple[Any, str]) -> None:
    """The labels that a platform gets are those that name the GPU when a user gives them."""
    platform, product = known
    gpu = WholeGpu(product)
    found = pod(gpu=gpu, nodes=Nodes(platform))
    many = {one.key: one.values[-1] for one in found.node_requirements}
    labels = {**found.node_labels, **many}

    given_labels = pod(gpu=gpu, node_selector=labels)
    assert given_labels.node_labels == labels
    assert PRODUCT not in labels
    assert given_labels.node_requirements == ()


SPOT: list[tuple[Any, Any, int, dict[str, str]]] = [
    ("gke", L4, 15, {GKE_SPOT: "true"}),
    ("eks", L4, 120, {"eks.amazonaws.com/capacityType": "SPOT"}),
    ("karpenter", L4, 120, {KARPENTER_SPOT: "spot"}),
    ("eks-auto-mode", L4, 120, {KARPENTER_SPOT: "spot"}),
    ("aks", T4, 30, {"kubernetes.azure.com/scalesetpriority": "spot"}),
]


@pytest.mark.parametrize(("platform", "gpu", "notice", "label"), SPOT)
def test_spot(platform: Any, gpu: Any, notice: int, label: dict[str, str]) -> None:
    """Spot nodes have a label and, on some platforms, a taint; the drain ends before they do."""
    fields = {"gpu": gpu, "nodes": Nodes(platform, spot=True)}
    drain = Drain(seconds=notice - 7, pre_stop=5)
    spec = spec_of(drain=drain, **fields)

    assert spec["nodeSelector"].items() >= label.items()
    key, value = next(iter(label.items()))
    taint = {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
    assert (taint in spec["tolerations"]) == (platform in ("gke", "aks"))
    with pytest.warns(VllmConstructsWarning, match=f"gives a pod {notice} seconds, but it takes 5"):
        pod(drain=Drain(seconds=notice - 6, pre_stop=5), **fields)


def test_advice_for_spot() -> None:
    """A drain that is too long is warned about with one that fits."""
    nodes = Nodes("karpenter", spot=True)
    with pytest.warns(VllmConstructsWarning) as caught:
        pod(nodes=nodes)

    (sentence,) = (str(one.message) for one in caught)
    assert sentence == (
        "Nodes.spot gives a pod 120 seconds, but it takes 15 until load balancers have removed it "
        "and up to 300 until its requests have ended, so that longer ones are cut without an error "
        "event; give drain=Drain(seconds=103), or expect that clients repeat their requests."
    )
    assert spec_of(nodes=nodes, drain=Drain(seconds=103))
    assert spec_of(nodes=nodes, response_timeout=103)


def test_short_notice() -> None:
    """Where the pause alone takes all the time, a shorter one is advised."""
    nodes = Nodes("gke", spot=True)
    with pytest.warns(
        VllmConstructsWarning, match=r"give drain=Drain\(seconds=8, pre_stop=5\), or expect"
    ):
        pod(nodes=nodes)


@pytest.mark.parametrize(
    "fields",
    [
        {"nodes": Nodes("gke")},
        {"nodes": Nodes("any"), "node_selector": {GKE_SPOT: "true"}},
        {
            "nodes": Nodes("gke", spot=True),
            "drain": Drain(seconds=0),
            "engine": EngineArgs(runner="pooling"),
        },
    ],
)
def test_no_notice(fields: dict[str, Any]) -> None:
    """Other nodes end with notice enough, and a pod that does not drain needs none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert spec_of(**fields)


@pytest.mark.parametrize(
    ("families", "hosts"),
    [
        (None, []),
        ([], []),
        (["IPv4"], []),
        (["IPv6"], ["--host=::"]),
        (["IPv4", "IPv6"], ["--host=::"]),
        (("IPv6", "IPv4"), ["--host=::"]),
    ],
)
def test_ip_families(families: Any, hosts: list[str]) -> None:
    """With IPv6 the engine listens on all addresses of both families."""
    engine = EngineArgs(delivery="config-map")
    found = pod(ip_families=families, engine=engine)
    (config,) = found.config_files().values()

    assert found.ip_families == tuple(families or ())
    args = spec_of(ip_families=families)["containers"][0]["args"]
    assert [one for one in args if one.startswith("--host")] == hosts
    assert yaml.safe_load(config).get("host") == ("::" if hosts else None)


def spreads(**fields: Any) -> Any:
    """Return the topology spread of a Deployment of a small pod, which every release takes."""
    found = deployment.manifest(
        workload=Workload(name="qwen"),
        pod=pod(**fields),
        replicas=2,
        rollout=Rollout(),
        labels={"team": "search"},
        annotations={},
        kubernetes=Kubernetes(),
        config_map_name=None,
        scrape_hints=True,
        root_path=None,
    )
    assert validate(strategies.in_namespace(found)) == []
    return found["spec"]["template"]["spec"].get("topologySpreadConstraints")


def test_topology_spread() -> None:
    """The pods of a model are spread over hosts by default, or as the user says."""
    (host,) = spreads()
    mine = [TopologySpread(ZONE, max_skew=2, required=True), TopologySpread()]

    assert (host["topologyKey"], host["whenUnsatisfiable"]) == (
        "kubernetes.io/hostname",
        "ScheduleAnyway",
    )
    labels = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "qwen"}
    assert host["labelSelector"] == {"matchLabels": labels}
    zone, other = spreads(topology_spread=mine)
    assert other == host
    assert zone == host | {
        "topologyKey": ZONE,
        "maxSkew": 2,
        "whenUnsatisfiable": "DoNotSchedule",
    }
    assert spreads(topology_spread=[]) is None
    # A pod alone does not know the labels of its workload.
    assert "topologySpreadConstraints" not in spec_of(topology_spread=mine)


def test_scheduler() -> None:
    """Another scheduler is named in the pod."""
    assert spec_of(scheduler="volcano")["schedulerName"] == "volcano"
    assert "schedulerName" not in spec_of()


def test_copies() -> None:
    """A pod keeps copies: what a user changes afterwards changes nothing."""
    given_: dict[str, Any] = {
        "node_selector": {"team": "search"},
        "tolerations": [Toleration(key="team")],
        "ip_families": ["IPv6"],
        "topology_spread": [TopologySpread()],
        "host_aliases": {"10.0.0.5": ["a"]},
    }
    found = pod(**given_)
    before = found.manifest()
    for value in given_.values():
        value.clear()

    assert before == found.manifest()
    assert found.topology_spread == (TopologySpread(),)


REFUSED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"nodes": "gke"}, ("nodes is 'gke'", "Nodes(...)")),
    ({"node_selector": ["team"]}, ("node_selector is ['team']", "a dict of strings")),
    ({"node_selector": {"team": 1}}, ("node_selector['team'] is 1", "quote numbers")),
    ({"node_selector": {"a b": "c"}}, ("a key of node_selector is 'a b'",)),
    (
        {"node_selector": {PRODUCT: "NVIDIA-L4"}},
        (f"node_selector[{PRODUCT!r}] is set by gpu; leave it out.",),
    ),
    (
        {"gpu": TimeSlicedGpu("NVIDIA-L4"), "node_selector": {PRODUCT: "NVIDIA-L4-SHARED"}},
        (f"node_selector[{PRODUCT!r}] is set by gpu",),
    ),
    (
        {"nodes": Nodes("gke"), "node_selector": {GKE: "nvidia-l4"}},
        (f"node_selector[{GKE!r}] is set by nodes; leave it out.",),
    ),
    (
        {"nodes": Nodes("eks"), "node_selector": {INSTANCE: "g6.xlarge"}},
        (f"node_selector[{INSTANCE!r}] is set by nodes",),
    ),
    (
        {"nodes": Nodes(labels={"pool": "a"}), "node_selector": {"pool": "b"}},
        ("node_selector['pool'] is set by nodes",),
    ),
    (
        {"nodes": Nodes("gke", spot=True), "node_selector": {GKE_SPOT: "true"}},
        (f"node_selector[{GKE_SPOT!r}] is set by nodes",),
    ),
    (
        {"nodes": Nodes("aks")},
        ("Nodes('aks') does not go with gpu", "with NVIDIA-L4", "instance_types=[...]"),
    ),
    (
        {"nodes": Nodes("coreweave")},
        ("no node with NVIDIA-L4 is known", "labels={'gpu.nvidia.com/class': ...}"),
    ),
    ({"tolerations": Toleration(key="a")}, ("tolerations is ", "a list of Toleration(...)")),
    ({"tolerations": ["a"]}, ("tolerations[0] is 'a'", "Toleration(...)")),
    ({"ip_families": "IPv6"}, ("ip_families is 'IPv6'", "a list of 'IPv4' and 'IPv6'")),
    ({"ip_families": ["ipv6"]}, ("ip_families is 'ipv6'", "did you mean 'IPv6'?")),
    ({"ip_families": ["IPv6", "IPv6"]}, ("ip_families is ['IPv6', 'IPv6']", "once")),
    ({"topology_spread": TopologySpread()}, ("topology_spread is ", "TopologySpread(...)")),
    ({"topology_spread": [ZONE]}, (f"topology_spread[0] is {ZONE!r}", "TopologySpread(...)")),
    (
        {"topology_spread": [TopologySpread(), TopologySpread(required=True)]},
        ("topology_spread has two spreads over 'kubernetes.io/hostname'", "leave one out"),
    ),
    ({"scheduler": "My Scheduler"}, ("scheduler is 'My Scheduler'", "'my-scheduler'")),
    ({"scheduler": ""}, ("scheduler is ''", "lower-case")),
    ({"affinity": {}}, ("affinity is {}", "Affinity(...)")),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_refusals(fields: dict[str, Any], words: tuple[str, ...]) -> None:
    """What cannot be scheduled is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(lambda: pod(**fields))

    assert [word for word in words if word not in sentence] == [], sentence


INSTANCE = "node.kubernetes.io/instance-type"


@pytest.mark.parametrize(
    ("key", "values", "gpu"),
    [
        (GKE, ["nvidia-l4"], WholeGpu("NVIDIA-L4")),
        (GKE, ["nvidia-l4", "nvidia-tesla-t4"], WholeGpu("NVIDIA-L4")),
        (INSTANCE, ["g6.xlarge", "g6.2xlarge"], WholeGpu("NVIDIA-L4")),
    ],
)
def test_affinity_names_gpu(key: str, values: list[str], gpu: Any) -> None:
    """A required label that names the GPU takes the place of that of feature discovery."""
    spec = spec_of(gpu=gpu, affinity=Affinity(nodes=[NodeRequirement(key, values)]))

    assert PRODUCT not in spec.get("nodeSelector", {})
    assert values == list(required(spec)[key])


@pytest.mark.parametrize(
    ("requirement", "fields", "words"),
    [
        (
            NodeRequirement(PRODUCT, ["NVIDIA-A10"]),
            {},
            (f"Affinity.nodes['{PRODUCT}'] is ('NVIDIA-A10',), a node with NVIDIA-A10, but",),
        ),
        (NodeRequirement(PRODUCT, ["NVIDIA-L4"], operator="NotIn"), {}, ("excludes NVIDIA-L4",)),
        (
            NodeRequirement(GKE, ["nvidia-h100-80gb"]),
            {"nodes": Nodes("gke")},
            ("a node with NVIDIA-H100-80GB-HBM3, but gpu is NVIDIA-L4; change one",),
        ),
        (
            NodeRequirement(INSTANCE, ["g6.xlarge"]),
            {"gpu": WholeGpu("NVIDIA-L4", count=4)},
            ("a node with 1 GPU, but gpu has 4",),
        ),
        (
            NodeRequirement("team", ["a"]),
            {"nodes": Nodes(labels={"team": "b"})},
            ("is ('a',), but nodes and gpu select b; change one of them.",),
        ),
    ],
)
def test_affinity_without_nodes(
    requirement: NodeRequirement, fields: dict[str, Any], words: tuple[str, ...]
) -> None:
    """A requirement that no node with the GPU meets is rejected."""
    options = {"gpu": WholeGpu("NVIDIA-L4"), "affinity": Affinity(nodes=[requirement]), **fields}
    sentence = strategies.refusal(lambda: pod(**options))
    assert [word for word in words if word not in sentence] == [], sentence


def test_affinity_with_nodes() -> None:
    """Requirements that some of the nodes meet are taken."""
    for one in (
        NodeRequirement(PRODUCT, ["NVIDIA-L4", "NVIDIA-A10"]),
        NodeRequirement(PRODUCT, ["NVIDIA-A10"], operator="NotIn"),
        NodeRequirement("team", ["a"]),
        NodeRequirement("team"),
    ):
        spec = spec_of(gpu=WholeGpu("NVIDIA-L4"), affinity=Affinity(nodes=[one]))
        assert "NVIDIA-L4" == spec["nodeSelector"][PRODUCT]


@pytest.mark.parametrize(("pause", "seconds", "expected"), [(10, 3, False), (10, 4, True)])
def test_is_longer(*, pause: int, seconds: int, expected: bool) -> None:
    """A drain ends two seconds before its node."""
    assert expected == is_longer(pause, seconds, 15)
