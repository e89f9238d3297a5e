"""Model runner: which of vLLM's two model runners loads a model, by release.

The second one (vllm/v1/worker/gpu/model_runner.py) took over from the first
(vllm/v1/worker/gpu_model_runner.py) in several releases, family by family (`use_v2_model_runner`
in vllm/config/vllm.py). They profile other things, so a memory plan has to know.
"""

from __future__ import annotations

from collections.abc import Mapping

from vllm_constructs.dataclass import dataclass

from .behavior import numbers
from .environment import switch
from .release import VllmRelease

# The release that first runs a family on the second model runner. Models of the first three run on
# it only if they are not quantized, until the release after which all dense models do.
_NAMED = {
    "qwen3": "0.22.0",
    "llama": "0.23.0",
    "mistral": "0.23.0",
    "deepseek_v2": "0.24.0",
    "granitemoe": "0.24.0",
    "qwen2_moe": "0.24.0",
    "inkling": "0.26.0",
    "longcat_flash_ngram": "0.26.0",
    "kimi_k3": "0.27.0",
    "deepseek_v4": "0.28.0",
}
_QUANTIZED = "0.24.0"
_DENSE = "0.25.0"
_ALL = "0.29.0"


@dataclass(frozen=True, kw_only=True)
class RunnerFacts:
    """What the choice of the model runner depends on.

    Args:
        family: `model_type` of the model.
        generates: Whether it generates text; pooling models do not.
        has_experts: Whether it is a mixture of experts.
        has_state: Whether it has recurrent layers.
        is_quantized: Whether its weights are quantized.
    """

    family: str
    generates: bool
    has_experts: bool
    has_state: bool
    is_quantized: bool


def is_second(release: VllmRelease, facts: RunnerFacts, env: Mapping[str, str]) -> bool:
    """Whether a release runs a model on the second model runner.

    `VLLM_USE_V2_MODEL_RUNNER` decides it if it is given. A few flags that only the second one
    supports are not looked at.

    Args:
        release: The release.
        facts: What is known of the model.
        env: Environment variables of the container.
    """
    asked = switch(env, "VLLM_USE_V2_MODEL_RUNNER")
    if asked is not None:
        return asked
    version = release.assumed
    if version >= numbers(_ALL):
        return True
    if not facts.generates:
        return False
    first = _NAMED.get(facts.family)
    if first is not None and version >= numbers(first):
        return not facts.is_quantized or version >= numbers(_QUANTIZED)
    return version >= numbers(_DENSE) and not facts.has_experts and not facts.has_state
