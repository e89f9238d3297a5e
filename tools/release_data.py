"""Makes `vllm_constructs/data/vllm-<release>.json` from the facts about one vLLM release.

Usage: python tools/release_data.py ../shared/facts/vllm-0.33.0

The argument is the common beginning of the fact files (`-flags.json`, `-parsers.json`). Only
names, types, choices and defaults go into the package; help texts never do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "vllm_constructs" / "data"

# Flags that vLLM 0.33 refuses and that tutorials still show, with what took their place:
# tried on its parser (vllm-0.33.0-argv-cases.json and facts/vllm-0.33.md, section 2).
REMOVED = {
    "--swap-space": "leave it out: the V1 engine does not swap",
    "--num-scheduler-steps": "leave it out: scheduling is asynchronous by default",
    "--multi-step-stream-outputs": "leave it out: scheduling is asynchronous by default",
    "--use-v2-block-manager": "leave it out: there is one block manager",
    "--preemption-mode": "leave it out: the V1 engine always recomputes",
    "--scheduler-delay-factor": "leave it out",
    "--num-lookahead-slots": "leave it out",
    "--max-paddings": "leave it out",
    "--task": "use runner='pooling' (and convert='embed' or 'classify')",
    "--guided-decoding-backend": "use structured_outputs_config={'backend': ...}",
    "--guided-decoding-disable-fallback": "use structured_outputs_config",
    "--speculative-model": "use speculative_config={'model': ...}",
    "--num-speculative-tokens": "use speculative_config={'num_speculative_tokens': ...}",
    "--spec-decoding-acceptance-method": "use speculative_config",
    "--enable-reasoning": "reasoning_parser alone turns it on",
    "--device": "leave it out: the image decides",
    "--worker-use-ray": "use distributed_executor_backend='ray'",
    "--engine-use-ray": "leave it out",
    "--disable-frontend-multiprocessing": "leave it out",
    "--disable-async-output-proc": "leave it out",
    "--tokenizer-pool-size": "leave it out",
    "--max-seq-len-to-capture": "use extra={'max-cudagraph-capture-size': ...}",
    "--max-context-len-to-capture": "use extra={'max-cudagraph-capture-size': ...}",
    "--cuda-graph-sizes": "use extra={'cudagraph-capture-sizes': ...}",
    "--rope-scaling": "use hf_overrides={'rope_parameters': {...}}",
    "--rope-theta": "use hf_overrides={'rope_parameters': {...}}",
    "--override-pooler-config": "use extra={'pooler-config': ...}",
    "--override-neuron-config": "use extra={'additional-config': ...}",
    "--enable-prompt-adapter": "leave it out: prompt adapters are gone",
    "--lora-extra-vocab-size": "leave it out",
    "--long-lora-scaling-factors": "leave it out",
    "--qlora-adapter-name-or-path": "leave it out",
    "--logits-processor-pattern": "use extra={'logits-processors': ...}",
    "--disable-mm-preprocessor-cache": "use extra={'mm-processor-cache-gb': 0}",
    "--calculate-kv-scales": "leave it out",
    "--max-num-partial-prefills": "leave it out",
    "--max-long-partial-prefills": "leave it out",
    "--num-redundant-experts": "use extra={'eplb-config': {'num_redundant_experts': ...}}",
}


def compact(flag: dict[str, Any]) -> dict[str, Any]:
    """What a check needs to know of one flag."""
    found: dict[str, Any] = {"type": flag["type"].removeprefix("json:") or "json"}
    if flag["type"].startswith("json:"):
        found = {"type": "json"}
    fields = flag.get("json_fields")
    if fields:
        names = fields if isinstance(fields, dict) else [f["name"] for f in fields]
        found["fields"] = sorted(names)
    if flag.get("choices"):
        found["choices"] = flag["choices"]
    if flag.get("nargs"):
        found["nargs"] = flag["nargs"]
    if flag.get("negations"):
        found["negation"] = flag["negations"][0]
    if flag.get("aliases"):
        found["aliases"] = sorted(a for a in flag["aliases"] if a.startswith("--"))
    if flag.get("deprecated"):
        found["deprecated"] = True
    return {k: v for k, v in found.items() if v not in ([], None)}


def main() -> None:
    """Write the data file of one release."""
    stem = Path(sys.argv[1])
    flags = json.loads(stem.with_name(stem.name + "-flags.json").read_text())
    parsers = json.loads(stem.with_name(stem.name + "-parsers.json").read_text())
    known = {f["flag"]: compact(f) for f in flags if f["flag"].startswith("--")}
    data = {
        "release": stem.name.removeprefix("vllm-"),
        "flags": known,
        "removed": {k: v for k, v in REMOVED.items() if k not in known},
        "tool_call_parsers": parsers["tool_call_parsers"],
        "reasoning_parsers": parsers["reasoning_parsers"],
    }
    lines = json.dumps(data, indent=0, sort_keys=True, separators=(",", ":"))
    (DATA / f"{stem.name}.json").write_text(lines + "\n")


main()
