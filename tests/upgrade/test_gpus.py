"""GPUs while a change is on its way."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs.reading.graph import Graph
from vllm_constructs.upgrade.gpus import Gpus, gpus_of, peak, total

from .models import Manifest, deployment, group, pod


def slow_peak(before: int, after: int, old: int, new: int, surge: int) -> int:
    """The most GPUs over all numbers of pods that a rollout may have."""
    most = max(before, after + surge)
    return max(
        kept * old + made * new
        for kept, made in product(range(before + 1), range(after + 1))
        if kept + made <= most
    )


@given(*[st.integers(0, 8)] * 2, *[st.integers(0, 4)] * 2, st.integers(0, 8))
def test_peak(before: int, after: int, old: int, new: int, surge: int) -> None:
    """The most of all ways that a rollout may take."""
    expected = slow_peak(before, after, old, new, surge)

    assert expected == peak(before, after, old=old, new=new, surge=surge)


def test_total() -> None:
    """The GPUs of workloads that change at the same time."""
    one, two = Gpus(before=1, peak=2, after=1), Gpus(before=3, peak=3, after=4)

    assert {"A": Gpus(before=4, peak=5, after=5), "B": one} == total(
        [{"B": one, "A": two}, {"A": one}]
    )
    assert {} == total([])


def counted(manifest: Manifest, *others: Manifest) -> dict[str, int]:
    """The GPUs of one replica."""
    graph = Graph([manifest, *others])
    return dict(gpus_of(graph, graph.manifests[0]))


def test_pods() -> None:
    """GPUs of engines and of other containers, by product or resource."""
    found = deployment(gpus=2)
    found["spec"]["template"]["spec"]["containers"].append(
        {"name": "more", "image": "a", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    )

    assert {"NVIDIA-L40S": 3} == counted(found)
    assert {} == counted(deployment(gpus=0))
    assert {} == counted({"kind": "ConfigMap", "metadata": {"name": "a"}})


def test_groups() -> None:
    """A group has one leader, and workers for the rest of its size."""
    assert {"NVIDIA-L40S": 4} == counted(group(size=4))
    leader = pod(gpus=2)
    assert {"NVIDIA-L40S": 5} == counted(group(size=4, leaderTemplate=leader))
    assert {"NVIDIA-L40S": 2} == counted(group(size=1, leaderTemplate=leader))


def test_claims() -> None:
    """GPUs that are claimed, if the claim is in the manifests."""
    found = deployment(gpus=0)
    spec = found["spec"]["template"]["spec"]
    spec["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "gpu"}]
    spec["containers"][0]["resources"] = {"claims": [{"name": "gpu"}]}
    request = {"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com", "count": 2}}
    claim = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "gpu", "namespace": "llm"},
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }

    assert [2] == list(counted(found, claim).values())
