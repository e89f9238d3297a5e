"""Makes `vllm_constructs/data/accelerators.json` from the facts about GPUs.

Usage: python tools/accelerator_data.py ../shared/facts/accelerators.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

DATA = Path(__file__).parents[1] / "vllm_constructs" / "data"
# GPUs of one node at most, for products that are modules on a board of the vendor: HGX and DGX
# have 8 (NVIDIA's data sheets), Google's a2-megagpu-16g 16 of the A100 with 40 GB, a tray of
# NVL72 and the quad GH200 4. PCIe cards are in nodes of any size.
PER_NODE = {
    "NVIDIA-A100-SXM4-40GB": 16,
    "NVIDIA-A100-SXM4-80GB": 8,
    "NVIDIA-B200": 8,
    "NVIDIA-B300-SXM6-AC": 8,
    "NVIDIA-GB200": 4,
    "NVIDIA-GB300": 4,
    "NVIDIA-GH200-480GB": 4,
    "NVIDIA-H100-80GB-HBM3": 8,
    "NVIDIA-H20": 8,
    "NVIDIA-H200": 8,
    "NVIDIA-H800": 8,
    "Tesla-V100-SXM2-16GB": 8,
    "Tesla-V100-SXM2-32GB": 8,
}

# Memory bandwidth in GB/s, from NVIDIA's data sheets (the 40 GB A100 from the A100 whitepaper).
BANDWIDTH = {
    "NVIDIA-A10": 600,
    "NVIDIA-A100-80GB-PCIe": 1935,
    "NVIDIA-A100-PCIE-40GB": 1555,
    "NVIDIA-A100-SXM4-40GB": 1555,
    "NVIDIA-A100-SXM4-80GB": 2039,
    "NVIDIA-A10G": 600,
    "NVIDIA-A30": 933,
    "NVIDIA-A40": 696,
    "NVIDIA-B200": 8000,
    "NVIDIA-B300-SXM6-AC": 8000,
    "NVIDIA-GB200": 8000,
    "NVIDIA-GB300": 8000,
    "NVIDIA-GH200-480GB": 4000,
    "NVIDIA-GeForce-RTX-3090": 936,
    "NVIDIA-GeForce-RTX-4090": 1008,
    "NVIDIA-GeForce-RTX-5090": 1792,
    "NVIDIA-H100-80GB-HBM3": 3350,
    "NVIDIA-H100-NVL": 3900,
    "NVIDIA-H100-PCIe": 2000,
    "NVIDIA-H20": 4000,
    "NVIDIA-H200": 4800,
    "NVIDIA-H200-NVL": 4800,
    "NVIDIA-H800": 3350,
    "NVIDIA-L20": 864,
    "NVIDIA-L4": 300,
    "NVIDIA-L40": 864,
    "NVIDIA-L40S": 864,
    "NVIDIA-RTX-6000-Ada-Generation": 960,
    "NVIDIA-RTX-A6000": 768,
    "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition": 1792,
    "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition": 1597,
    "Tesla-T4": 320,
    "Tesla-V100-SXM2-16GB": 900,
    "Tesla-V100-SXM2-32GB": 900,
}


def main() -> None:
    """Write the catalog: what is known of each product, by its label."""
    facts = json.loads(Path(sys.argv[1]).read_text())
    products = {
        gpu["product_label"]: {
            "compute_capability": gpu["compute_capability"],
            "memory_mib": gpu["memory_mib"],
            "memory_gb_per_second": BANDWIDTH[gpu["product_label"]],
            "nvlink": gpu["nvlink"],
            "per_node": PER_NODE.get(gpu["product_label"], 16),
            "mig": {
                mig["profile"]: {
                    "resource": mig["resource"],
                    "config": mig["mig_config_label"],
                    "count": mig["max_count"],
                    "gib": mig["memory_gib_usable"],
                }
                for mig in gpu["mig_profiles"]
            },
        }
        for gpu in facts["nvidia"]
    }
    lines = json.dumps(products, indent=0, sort_keys=True, separators=(",", ":"))
    (DATA / "accelerators.json").write_text(lines + "\n")


main()
