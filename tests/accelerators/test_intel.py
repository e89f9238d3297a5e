"""IntelGpu and Gaudi: Intel's accelerators."""

from typing import Any

import pytest

from tests import strategies
from vllm_constructs import EngineArgs, Gaudi, GpuPodSpec, IntelGpu, Nodes
from vllm_constructs.accelerators.intel import (
    GAUDI_MEMORY,
    GAUDI_RESOURCE,
    MEMORY,
    PRODUCT,
    RESOURCES,
)

OWN = {"image": "registry.example.com/vllm-gaudi:7", "vllm": "0.26.0"}


def spec(gpu: Any, **options: Any) -> dict[str, Any]:
    """Return the `spec` of a pod."""
    own = OWN if isinstance(gpu, Gaudi) else {}
    return GpuPodSpec(**{"model": "a/b", "gpu": gpu, **own, **options}).manifest()


def test_facts() -> None:
    """Resources and labels are those of Intel's device plugins."""
    known = {
        one["vendor"]: one for one in strategies.facts("accelerators.json")["other_accelerators"]
    }
    gpu, gaudi = known["intel-gpu"], known["intel-gaudi"]

    assert (gpu["resource"], gpu["legacy_resource"]) == RESOURCES
    assert PRODUCT in gpu["labels"]
    assert (GAUDI_RESOURCE, []) == (gaudi["resource"], gaudi["labels"])


def test_memory() -> None:
    """The memory is that of one device, or as given."""
    assert MEMORY == {"Arc_B580": 12, "Arc_Pro_B60": 24, "Max_1100": 48, "Max_1550": 128}
    assert GAUDI_MEMORY == {"Gaudi2": 96, "Gaudi3": 128}
    assert 128 * 1024 == IntelGpu("Max_1550").device_mib
    assert 50_000 == IntelGpu("New", memory_mib=50_000).device_mib
    assert 96 * 1024 == Gaudi("Gaudi2").device_mib
    assert (None, None) == (IntelGpu().device_mib, Gaudi().device_mib)


@pytest.mark.parametrize("written", ["Max_1550", "Max 1550", "Max-1550"])
def test_spelling(written: str) -> None:
    """A known product is found however its words are joined."""
    assert {PRODUCT: "Max_1550"} == IntelGpu(written).node_labels


@pytest.mark.parametrize("driver", ["xe", "i915"])
def test_pod(driver: Any) -> None:
    """The driver names the resource and the taint; device files belong to groups."""
    found = spec(IntelGpu("Max_1550", count=2, driver=driver))
    (container,) = found["containers"]
    resource = f"gpu.intel.com/{driver}"

    assert "2" == container["resources"]["limits"][resource]
    assert "--tensor-parallel-size=2" in container["args"]
    assert [{"key": resource, "operator": "Exists", "effect": "NoSchedule"}] == found["tolerations"]
    assert {PRODUCT: "Max_1550"} == found["nodeSelector"]
    assert [44, 105, 109, 110] == found["securityContext"]["supplementalGroups"]


def test_any() -> None:
    """Any GPU of Intel needs no label."""
    assert "nodeSelector" not in spec(IntelGpu())


@pytest.mark.parametrize(("lazy", "value"), [(True, "1"), (False, "0")])
def test_gaudi(value: str, *, lazy: bool) -> None:
    """A pod on Gaudi gets the mode of PyTorch; no label of its nodes is known."""
    found = spec(Gaudi("Gaudi3", count=8, lazy_mode=lazy))
    (container,) = found["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}

    assert "8" == container["resources"]["limits"]["habana.ai/gaudi"]
    assert "--tensor-parallel-size=8" in container["args"]
    assert value == variables["PT_HPU_LAZY_MODE"]
    assert "nodeSelector" not in found
    assert "supplementalGroups" not in found["securityContext"]
    labels = {"node-type": "gaudi3"}
    assert labels == spec(Gaudi("Gaudi3"), nodes=Nodes(labels=labels))["nodeSelector"]


REFUSED: list[tuple[strategies.Call, str]] = [
    (
        lambda: IntelGpu("Max_155"),
        (
            "IntelGpu.product is 'Max_155', a GPU whose memory is not known; did you mean "
            "'Max_1550'? "
            "Otherwise give IntelGpu.memory_mib too."
        ),
    ),
    (
        lambda: IntelGpu("x"),
        (
            "IntelGpu.product is 'x', a GPU whose memory is not known; known are Arc_B580, "
            "Arc_Pro_B60, Max_1100, Max_1550; otherwise give IntelGpu.memory_mib too."
        ),
    ),
    (
        lambda: IntelGpu("a b", memory_mib=50_000),
        (
            "IntelGpu.product['gpu.intel.com/product'] is 'a b'; expected at most 63 "
            "letters, digits, "
            "'-', '_' and '.', first and last a letter or digit; put longer strings into "
            "annotations."
        ),
    ),
    (lambda: IntelGpu(""), "IntelGpu.product is ''; expected a GPU such as 'Max_1550'."),
    (lambda: IntelGpu(count=9), "IntelGpu.count is 9; expected an integer of GPUs from 1 to 8."),
    (
        lambda: IntelGpu(driver="i916"),  # type: ignore[arg-type]  # the mistake
        "IntelGpu.driver is 'i916'; expected one of 'xe', 'i915'.",
    ),
    (
        lambda: IntelGpu(memory_mib=24),
        "IntelGpu.memory_mib is 24; expected an integer of MiB from 1024 to 16777216.",
    ),
    (
        lambda: IntelGpu(render_groups="44"),  # type: ignore[arg-type]  # the mistake
        "IntelGpu.render_groups is '44'; expected a list of group ids.",
    ),
    (
        lambda: Gaudi("Gaudi4"),  # type: ignore[arg-type]  # the mistake
        ("Gaudi.product is 'Gaudi4'; expected one of 'Gaudi2', 'Gaudi3'."),
    ),
    (lambda: Gaudi(count=0), "Gaudi.count is 0; expected an integer of accelerators from 1 to 8."),
    (
        lambda: Gaudi(lazy_mode=1),  # type: ignore[arg-type]  # the mistake
        "Gaudi.lazy_mode is 1; expected True or False.",
    ),
    (
        lambda: spec(Gaudi(), image=None),
        (
            "image is missing, and no image of vLLM for Gaudi is published; build one, and give it "
            "with vllm for its release."
        ),
    ),
    (
        lambda: spec(Gaudi(), vllm=None),
        (
            "vllm is missing, and images for Gaudi are built from releases of a plugin; give the "
            "release of vLLM in image."
        ),
    ),
    (
        lambda: spec(Gaudi(count=2), engine=EngineArgs(tensor_parallel_size=4)),
        (
            "EngineArgs needs 4 accelerators (tensor 4 x pipeline 1 x data 1), but the pod has 2; "
            "give Gaudi(count=4), or leave tensor_parallel_size out to use them all."
        ),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_refusals(call: strategies.Call, sentence: str) -> None:
    """What cannot work is refused in one sentence."""
    assert sentence == strategies.refusal(call)


@pytest.mark.parametrize("plugins", ["", "lora_filesystem_resolver", "tpu"])
def test_plugins(plugins: str) -> None:
    """A list of plugins needs that of the platform, without which there is no device (L04)."""
    expected = f"env['VLLM_PLUGINS'] is '{plugins}', without the plugin for Gaudi, so vLLM"

    def call() -> object:
        return spec(Gaudi(), env={"VLLM_PLUGINS": plugins})

    assert strategies.refusal(call).startswith(expected)
    spec(Gaudi(), env={"VLLM_PLUGINS": "hpu,lora_filesystem_resolver"})
