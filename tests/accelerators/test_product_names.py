"""Products by the names that clouds, tools and people give them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_constructs.accelerators.nvidia import catalog
from vllm_constructs.accelerators.product_names import either, products_of

MEMORIES = {name: one["memory_mib"] for name, one in catalog().items()}
PRO = [
    "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition",
    "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition",
]
H100 = ["NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-NVL", "NVIDIA-H100-PCIe"]
A100 = [
    "NVIDIA-A100-80GB-PCIe",
    "NVIDIA-A100-PCIE-40GB",
    "NVIDIA-A100-SXM4-40GB",
    "NVIDIA-A100-SXM4-80GB",
]
V100 = ["Tesla-V100-SXM2-16GB", "Tesla-V100-SXM2-32GB"]

# What is written, and the products that it can mean; separated by commas where several names mean
# the same.
NAMES: dict[str, list[str]] = {
    # Clouds: GKE, Karpenter and EKS Auto Mode, ACK, VKE, TKE.
    "nvidia-tesla-t4, t4, T4, Tesla T4, NVIDIA T4, TESLA-T4, tesla_t4, nvidia t4 16gb": [
        "Tesla-T4"
    ],
    "nvidia-l4, l4, L4, NVIDIA L4, l4-24gb, L4 24GB, nvidia.l4, gpu-l4": ["NVIDIA-L4"],
    "nvidia-tesla-a100": ["NVIDIA-A100-SXM4-40GB"],
    "nvidia-a100-80gb": ["NVIDIA-A100-SXM4-80GB"],
    "nvidia-h100-80gb, nvidia-h100-mega-80gb": ["NVIDIA-H100-80GB-HBM3"],
    "NVIDIA-H100-MEGA-80GB, NVIDIA-H100-80GB": ["NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-PCIe"],
    "NVIDIA-A100-80GB": ["NVIDIA-A100-80GB-PCIe", "NVIDIA-A100-SXM4-80GB"],
    "nvidia-h200-141gb, h200 sxm, H200-SXM5, nvidia-h200": ["NVIDIA-H200"],
    "nvidia-b200, b200, B200 180GB, B200-192GB, NVIDIA B200 SXM6, b200 183gb": ["NVIDIA-B200"],
    "a10g, A10G, NVIDIA A10G, nvidia-a10g, A10G-24GB, a10g 24g": ["NVIDIA-A10G"],
    "a100, A100, NVIDIA A100, tesla a100": A100,
    "h100, H100, NVIDIA H100, nvidia_h100, H100 Tensor Core GPU": H100,
    "h200, H200 141GB": ["NVIDIA-H200", "NVIDIA-H200-NVL"],
    "NVIDIA-A10, A10, nvidia a10, A10-24GB, a10 pcie": ["NVIDIA-A10"],
    "Tesla-V100, v100, V100, NVIDIA V100, nvidia-tesla-v100, V100-SXM2": V100,
    "NVIDIA-L20, l20, L20 48GB, nvidia l20": ["NVIDIA-L20"],
    "Tesla-V100-SXM2-16GB, V100 16GB, v100-sxm2-16g, tesla v100 16gb": V100[:1],
    "V100-32GB, v100 sxm2 32gb, nvidia-v100-32gb": V100[1:],
    # nvidia-smi and NVML.
    "NVIDIA A100-SXM4-80GB, A100-SXM4-80GB, a100 sxm 80gb, A100 80GB SXM": [
        "NVIDIA-A100-SXM4-80GB"
    ],
    "NVIDIA A100-PCIE-40GB, A100 PCIe 40GB, a100-pcie-40g": ["NVIDIA-A100-PCIE-40GB"],
    "NVIDIA A100 80GB PCIe, A100-PCIe-80GB, a100 pci 80gb": ["NVIDIA-A100-80GB-PCIe"],
    "A100-SXM4-40GB, a100 sxm4 40gb, A100 40GB SXM": ["NVIDIA-A100-SXM4-40GB"],
    "NVIDIA H100 80GB HBM3, H100-SXM5-80GB, h100 sxm, H100-80GB-SXM, H100 SXM5": H100[:1],
    "NVIDIA H100 PCIe, h100-pcie, H100 80GB PCIe, h100 pcie 80gb": H100[2:],
    "NVIDIA H100 NVL, h100nvl, H100-NVL-94GB, h100 94gb": H100[1:2],
    "NVIDIA GH200 480GB, gh200, GH200, GH200-480GB": ["NVIDIA-GH200-480GB"],
    "NVIDIA B300 SXM6 AC, b300, B300": ["NVIDIA-B300-SXM6-AC"],
    "NVIDIA GB200, gb200": ["NVIDIA-GB200"],
    "GB300, gb300": ["NVIDIA-GB300"],
    "NVIDIA L40S, l40s, L40S-48GB, nvidia-l40s, L40S 48GB, l40s pcie": ["NVIDIA-L40S"],
    "NVIDIA L40, l40": ["NVIDIA-L40"],
    "NVIDIA H20, h20, H20-96GB": ["NVIDIA-H20"],
    "NVIDIA H800, h800": ["NVIDIA-H800"],
    "NVIDIA H200 NVL, h200-nvl, h200nvl": ["NVIDIA-H200-NVL"],
    "NVIDIA A30, a30, A30-24GB": ["NVIDIA-A30"],
    "NVIDIA A40, a40, A40 48GB": ["NVIDIA-A40"],
    "NVIDIA GeForce RTX 4090, rtx4090, RTX-4090, 4090, GeForce 4090, geforce_rtx_4090": [
        "NVIDIA-GeForce-RTX-4090"
    ],
    "RTX 3090, rtx3090, 3090, NVIDIA GeForce RTX 3090": ["NVIDIA-GeForce-RTX-3090"],
    "RTX 5090, rtx5090, 5090, rtx 5090 32gb": ["NVIDIA-GeForce-RTX-5090"],
    "NVIDIA RTX 6000 Ada Generation, RTX 6000 Ada, rtx6000ada, 6000 Ada, rtx-6000-ada": [
        "NVIDIA-RTX-6000-Ada-Generation"
    ],
    "NVIDIA RTX A6000, a6000, rtxa6000, A6000-48GB": ["NVIDIA-RTX-A6000"],
    "nvidia-rtx-pro-6000, RTX PRO 6000, rtxpro6000, RTX PRO 6000 Blackwell": PRO,
    "RTX PRO 6000 Blackwell Server Edition": PRO[1:],
    # What GPU feature discovery adds.
    "NVIDIA-H100-80GB-HBM3-SHARED, NVIDIA-H100-80GB-HBM3-MIG-1g.10gb": H100[:1],
    # Misspelled.
    "NVIDIA-L4OS, NVIDA-L40S, NVIDIA_L40S, nividia-l40s": ["NVIDIA-L40S"],
    "NVIDIA-H1OO-80GB-HBM3, H100-80GB-HBM3, H100_80GB_HBM3, h10080gbhbm3": H100[:1],
    "h100sxm, h100sxm5, NVIDIA-H100-SXM5": H100[:1],
    "A100-80, a100 800gb, a100 sxm3 60gb": [],
    # Others: another generation, vendor or variant is worse than none.
    "NVIDIA-L5, l5, l4s, t400, NVIDIA-T40, h150, h300, b100, b400, gb100": [],
    "p100, P4, k80, M60, Tesla-P100-PCIE-16GB, A2, A16, A800, T1000, gtx1080, TITAN-V": [],
    "RTX 4080, rtx4070, RTX 3080 Ti, RTX 4090 Laptop GPU, RTX 4090 D, rtx 4090 ti": [],
    "RTX 6000, Quadro RTX 6000, 6000, RTX 4000 Ada, RTX PRO 5000": [],
    "AMD-MI300X, mi300x, mi250, Gaudi3, gaudi, tpu-v5e, v5p, Ascend910B, Max 1550, arc-a770": [],
    "h200 80gb, t4 24gb, l4 48gb, v100 80gb, h100 40gb, a10 48gb, b200 80gb": [],
    "t4 sxm, l40s nvl, b200 pcie, a10g sxm4": [],
    "gpu, nvidia, tesla, 80gb, sxm, pcie, '', -, rtx, geforce rtx": [],
}
CASES = [
    (name.strip().strip("'"), found) for text, found in NAMES.items() for name in text.split(",")
]


def test_many() -> None:
    """There are two hundred and more."""
    assert len({name for name, _ in CASES}) >= 200


@pytest.mark.parametrize(("name", "expected"), CASES)
def test_names(name: str, expected: list[str]) -> None:
    """A name leads to the products that it can mean, and to no other."""
    assert expected == products_of(name, MEMORIES)


@pytest.mark.parametrize("product", MEMORIES)
def test_own(product: str) -> None:
    """A product's own label, and its name as nvidia-smi writes it, mean it alone."""
    assert [product] == products_of(product, MEMORIES)
    assert product in products_of(product.replace("-", " "), MEMORIES)
    assert product in products_of(product.lower(), MEMORIES)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ABHLTVabhlstvx0123456789 -_.", max_size=20) | st.text(max_size=20))
def test_anything(name: str) -> None:
    """Any text means some products or none."""
    assert set(products_of(name, MEMORIES)) <= set(MEMORIES)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a"], "did you mean 'a'?"),
        (["a", "b"], "did you mean 'a' or 'b'?"),
        (["a", "b", "c"], "did you mean 'a', 'b' or 'c'?"),
    ],
)
def test_either(names: list[str], expected: str) -> None:
    """Several products are listed."""
    assert expected == either(names)
