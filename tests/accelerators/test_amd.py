"""AmdGpu: AMD's GPUs, by the names that their nodes have."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import AmdGpu, EngineArgs, GpuPodSpec, Nodes, PodSecurity
from vllm_constructs.accelerators.amd import MEMORY, PRODUCT, RESOURCE, product_of

GROUPS = [44, 105, 109, 110]
TAINT = {"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def spec(gpu: AmdGpu, **options: Any) -> dict[str, Any]:
    """Return the `spec` of a pod."""
    return GpuPodSpec(model="a/b", gpu=gpu, **options).manifest()


def facts(vendor: str) -> dict[str, Any]:
    """Return what the facts say of a vendor."""
    known: list[dict[str, Any]] = strategies.facts("accelerators.json")["other_accelerators"]
    return next(one for one in known if one["vendor"] == vendor)


def test_facts() -> None:
    """Resource and label are those of the device plugin and the node labeller."""
    known = facts("amd")

    assert RESOURCE == known["resource"]
    assert PRODUCT in known["labels"]


def test_memory() -> None:
    """The memory of a GPU is that of one device: MI250 and MI250X are two of them."""
    assert MEMORY == {
        "MI210": 64,
        "MI250": 64,
        "MI250X": 64,
        "MI300A": 128,
        "MI300X": 192,
        "MI308X": 192,
        "MI325X": 256,
        "MI350X": 288,
        "MI355X": 288,
    }
    assert 192 * 1024 == AmdGpu("MI300X").device_mib
    assert 1_000_000 == AmdGpu("MI300X", memory_mib=1_000_000).device_mib
    assert AmdGpu().device_mib is None


@pytest.mark.parametrize(
    ("label", "product"),
    [
        ("AMD_Instinct_MI300X_OAM", "MI300X"),
        ("AMD_Instinct_MI325_OAM", "MI325X"),
        ("AMD-Instinct-MI210", "MI210"),
        ("AMD Instinct MI355X", "MI355X"),
        ("mi300x", "MI300X"),
        ("AMD_Radeon_Pro_W7900", None),
        ("MI3000X", None),
        ("", None),
    ],
)
def test_product_of(label: str, product: str | None) -> None:
    """A label names a product where one of its words is the product's name."""
    assert product == product_of(label)


@given(st.text(max_size=40))
def test_any_label(text: str) -> None:
    """Any text names a known product or none."""
    assert product_of(text) in {None, *MEMORY}


def test_pod() -> None:
    """A pod gets the GPUs, the nodes that have them, and the groups that may use them."""
    found = spec(AmdGpu("MI300X", count=4))
    (container,) = found["containers"]

    assert "4" == container["resources"]["limits"]["amd.com/gpu"]
    assert "4" == container["resources"]["requests"]["amd.com/gpu"]
    assert "--tensor-parallel-size=4" in container["args"]
    assert {PRODUCT: "AMD_Instinct_MI300X_OAM"} == found["nodeSelector"]
    assert [TAINT] == found["tolerations"]
    assert found["securityContext"]["supplementalGroups"] == GROUPS
    assert "vllm/vllm-openai-rocm:v0.33.0" == container["image"]


@pytest.mark.parametrize(
    ("user", "groups"), [("image", GROUPS), (1000, GROUPS), ("platform", None), ("root", None)]
)
def test_groups(user: Any, groups: list[int] | None) -> None:
    """Root needs no groups, and a platform that chooses the user chooses them, too."""
    context = spec(AmdGpu(), security=PodSecurity(user=user))["securityContext"]

    assert groups == context.get("supplementalGroups")


def test_own_groups() -> None:
    """The groups of the nodes may be others, or none."""
    assert [992] == spec(AmdGpu(render_groups=[992]))["securityContext"]["supplementalGroups"]
    assert "supplementalGroups" not in spec(AmdGpu(render_groups=[]))["securityContext"]


def test_nodes() -> None:
    """A product has the label that is documented, one's own, or that of `nodes`."""
    assert {} == AmdGpu().node_labels
    assert {PRODUCT: "New_GPU"} == AmdGpu("New_GPU", memory_mib=65536).node_labels
    expected = (
        "AmdGpu.product is 'MI210', and the value of its node label amd.com/gpu.product-name is "
        "not known; give nodes=Nodes(labels={'amd.com/gpu.product-name': ...}), or "
        "nodes=Nodes('any')."
    )
    assert expected == strategies.refusal(lambda: spec(AmdGpu("MI210")))
    own = {PRODUCT: "AMD_Instinct_MI210"}
    assert own == spec(AmdGpu("MI210"), nodes=Nodes(labels=own))["nodeSelector"]
    assert "nodeSelector" not in spec(AmdGpu("MI210"), nodes=Nodes("any"))


REFUSED: list[tuple[strategies.Call, str]] = [
    (
        lambda: AmdGpu("MI300"),
        (
            "AmdGpu.product is 'MI300', a GPU whose memory is not known; did you mean 'MI300A' or "
            "'MI300X'? Otherwise give AmdGpu.memory_mib too."
        ),
    ),
    (
        lambda: AmdGpu("W7900"),
        (
            "AmdGpu.product is 'W7900', a GPU whose memory is not known; known are "
            f"{', '.join(MEMORY)}; otherwise give AmdGpu.memory_mib too."
        ),
    ),
    (
        lambda: AmdGpu("{a} b", memory_mib=65536),
        (
            "AmdGpu.product['amd.com/gpu.product-name'] is '{a} b'; expected at most 63 letters, "
            "digits, '-', '_' and '.', first and last a letter or digit; put longer strings into "
            "annotations."
        ),
    ),
    (lambda: AmdGpu(""), "AmdGpu.product is ''; expected a GPU such as 'MI300X'."),
    (lambda: AmdGpu(count=0), "AmdGpu.count is 0; expected an integer of GPUs from 1 to 16."),
    (lambda: AmdGpu(count=17), "AmdGpu.count is 17; expected an integer of GPUs from 1 to 16."),
    (
        lambda: AmdGpu(memory_mib=192),
        "AmdGpu.memory_mib is 192; expected an integer of MiB from 1024 to 16777216.",
    ),
    (
        lambda: AmdGpu(render_groups=44),  # type: ignore[arg-type]  # the mistake
        "AmdGpu.render_groups is 44; expected a list of group ids.",
    ),
    (
        lambda: AmdGpu(render_groups=["render"]),  # type: ignore[list-item]  # the mistake
        "AmdGpu.render_groups is 'render'; expected an integer from 0 to 2147483647.",
    ),
    (
        lambda: spec(AmdGpu("MI300X"), engine=EngineArgs(tensor_parallel_size=2)),
        (
            "EngineArgs needs 2 GPUs (tensor 2 x pipeline 1 x data 1), but the pod has 1; give "
            "AmdGpu(count=2), or leave tensor_parallel_size out to use them all."
        ),
    ),
    (
        lambda: spec(AmdGpu("MI300X"), engine=EngineArgs(tensor_parallel_size=32)),
        (
            "EngineArgs needs 32 GPUs (tensor 32 x pipeline 1 x data 1), but the pod has 1; leave "
            "tensor_parallel_size out to use them all; no node has 32 MI300X."
        ),
    ),
    (
        lambda: spec(AmdGpu(), engine=EngineArgs(tensor_parallel_size=32)),
        (
            "EngineArgs needs 32 GPUs (tensor 32 x pipeline 1 x data 1), but the pod has 1; leave "
            "tensor_parallel_size out to use them all; no node has 32 GPUs."
        ),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_refusals(call: strategies.Call, sentence: str) -> None:
    """What cannot work is refused in one sentence."""
    assert sentence == strategies.refusal(call)
