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


def main() -> None:
    """Write the catalog: product label to memory, NVLink, GPUs of a node and MIG profiles."""
    facts = json.loads(Path(sys.argv[1]).read_text())
    products = {
        gpu["product_label"]: {
            "memory_mib": gpu["memory_mib"],
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
