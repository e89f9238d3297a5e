"""A memory plan as a picture."""

import re
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from vllm_constructs import MemoryPlan, ModelShape, WholeGpu
from vllm_constructs.memory.picture import parts

SHAPES = ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-72B-Instruct")
GPUS = ("NVIDIA-L4", "NVIDIA-L40S", "NVIDIA-H200")


def plan(model: str, gpu: str) -> MemoryPlan:
    """A plan of one GPU."""
    return MemoryPlan(shape=ModelShape.named(model), gpu=WholeGpu(gpu))


@given(st.sampled_from(SHAPES), st.sampled_from(GPUS))
def test_picture(model: str, gpu: str) -> None:
    """A part is as wide as its share, all together fill the picture, and it says the verdict."""
    made = plan(model, gpu)
    svg = ET.fromstring(made._repr_svg_())  # noqa: S314  # our own
    name = "{http://www.w3.org/2000/svg}"
    bars = [float(one.attrib["width"]) for one in svg.iter(f"{name}rect") if "x" in one.attrib]
    widths = [width for width in bars if width != 10]
    shown = {key: size for key, size in parts(made).items() if size > 0}
    assert len(shown) == len(widths)
    assert abs(sum(widths) - 640) < 1
    texts = [one.text or "" for one in svg.iter(f"{name}text")]
    assert texts[0].endswith(made.verdict)
    assert set(shown) == {text.partition(":")[0] for text in texts[1:] if "GPU" not in text}


def test_parts() -> None:
    """All parts are the memory of the GPU, unless the model is too large for it."""
    fits, large = plan(SHAPES[1], GPUS[1]), plan(SHAPES[2], GPUS[0])
    assert fits.gpu_memory == sum(parts(fits).values())
    assert large.gpu_memory < sum(parts(large).values())


def test_end() -> None:
    """The end of the GPU's memory is marked inside of a model that is too large."""
    ends = [
        float(re.findall(r"<path d=.M([0-9.]+) ", plan(model, gpu)._repr_svg_())[0])
        for model, gpu in ((SHAPES[1], GPUS[1]), (SHAPES[2], GPUS[0]))
    ]
    assert ends[0] == 640 > ends[1] > 0
