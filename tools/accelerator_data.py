"""Makes `vllm_constructs/data/accelerators.json` from the facts about GPUs.

Usage: python tools/accelerator_data.py ../shared/facts/accelerators.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

DATA = Path(__file__).parents[1] / "vllm_constructs" / "data"


def main() -> None:
    """Write the catalog: product label to memory, NVLink and MIG profiles."""
    facts = json.loads(Path(sys.argv[1]).read_text())
    products = {
        gpu["product_label"]: {
            "memory_mib": gpu["memory_mib"],
            "nvlink": gpu["nvlink"],
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
