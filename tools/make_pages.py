"""Makes the pages that follow from something else: catalogs, docstrings, examples, README.md.

Usage: python tools/make_pages.py
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from architecture_picture import packages, subject
from reference import MARK, referenced

import vllm_constructs
from vllm_constructs import EngineArgs, MemoryPlan, ModelShape, VllmConstructsError, WholeGpu
from vllm_constructs.releases.release import NEWEST, Flag, built_in, catalog

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "vllm_constructs"
DATA = PACKAGE / "data"
MADE = "<!-- Made by `make pages`. -->\n\n"
GPUS = (
    "NVIDIA-L4",
    "NVIDIA-L40S",
    "NVIDIA-A100-SXM4-80GB",
    "NVIDIA-H100-80GB-HBM3",
    "NVIDIA-H200",
)
COUNTS = (1, 2, 4, 8)
LENGTH = 8192


_ABOUT_RECIPES = f"""\
How models of the common families are served: parsers, and how many GPUs of a kind one pod needs
with requests of {LENGTH} tokens. The counts are those of [memory plans](memory.md) for vLLM
{NEWEST} with the margin of the estimates; with more tokens, fewer fit. The names of
parsers are those of that release; which one a model needs, its own page says last. `dtype` is that
of the checkpoint, with the quantization of its weights; vLLM takes both from the model, so no
recipe sets them.
"""
_ABOUT_EXAMPLES = """\
Each example is a folder of `examples/` with a `main.py`, and a `dist/` with the YAML that it
renders. To run one, call `python main.py` in its folder. A test renders all examples and compares
the YAML.
"""
_ABOUT_FLAGS = f"""\
Keywords of [`EngineArgs`](engine.md): the flag of `vllm serve` that each is, its type or values,
and the default of vLLM {NEWEST}. A keyword that is left out is not rendered. For another release:
`vllm-constructs list flags --vllm RELEASE`.
"""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that are served alike.

    Args:
        name: Its name.
        models: Some of its models, which the catalog has.
        tools: The parser of tool calls; None if vLLM has none for it.
        reasoning: The parser of reasoning; None if the models do not reason, or vLLM has none.
        notes: What else to know.
    """

    name: str
    models: tuple[str, ...]
    tools: str | None = None
    reasoning: str | None = None
    notes: str = ""


FAMILIES = (
    Family(
        name="Qwen2.5",
        models=("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-32B-Instruct"),
        tools="hermes",
    ),
    Family(
        name="Qwen3",
        models=("Qwen/Qwen3-8B", "Qwen/Qwen3-32B", "Qwen/Qwen3-30B-A3B"),
        tools="hermes",
        reasoning="qwen3",
    ),
    Family(
        name="Qwen3-Coder",
        models=("Qwen/Qwen3-Coder-30B-A3B-Instruct",),
        tools="qwen3_coder",
    ),
    Family(
        name="Llama 3",
        models=("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        tools="llama3_json",
        notes="Gated: give `hf_token=`.",
    ),
    Family(
        name="Mistral",
        models=("mistralai/Mistral-Small-24B-Instruct-2501",),
        tools="mistral",
        notes="With Mistral's own files, `EngineArgs(tokenizer_mode='mistral')`.",
    ),
    Family(
        name="gpt-oss",
        models=("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
        tools="openai",
        reasoning="openai_gptoss",
        notes="Downloads its vocabulary when it starts.",
    ),
    Family(
        name="DeepSeek V3 and R1",
        models=("deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-R1"),
        tools="deepseek_v3",
        reasoning="deepseek_r1",
        notes="The reasoning parser is for R1. Expert parallelism: `enable_expert_parallel`.",
    ),
    Family(
        name="Gemma 3",
        models=("google/gemma-3-12b-it", "google/gemma-3-27b-it"),
        notes="Gated: give `hf_token=`. vLLM has no parser for its tool calls.",
    ),
    Family(name="Phi-4", models=("microsoft/phi-4",)),
)


def _verdict(model: str, gpu: str, count: int) -> str:
    try:
        plan = MemoryPlan(
            shape=ModelShape.named(model),
            gpu=WholeGpu(gpu, count=count),
            engine=EngineArgs(max_model_len=LENGTH, tensor_parallel_size=count),
        )
    except VllmConstructsError:
        return "too large"
    return plan.verdict


def _smallest(model: str, gpu: str) -> str:
    return next(
        (str(count) for count in COUNTS if _verdict(model, gpu, count) == "fits"), "more than 8"
    )


def _dtype(model: str) -> str:
    shape = ModelShape.named(model)
    method = "" if shape.quantization is None else f", {shape.quantization.method}"
    return f"{shape.dtype}{method}"


def _parser_lines(family: Family) -> Iterator[str]:
    for kind, name in (
        ("tool_call_parsers", family.tools),
        ("reasoning_parsers", family.reasoning),
    ):
        if name is not None and name not in built_in(NEWEST, kind):
            raise LookupError(f"{name} is none of the {kind} of vLLM {NEWEST}")
    if family.tools is not None:
        yield f"`EngineArgs(enable_auto_tool_choice=True, tool_call_parser={family.tools!r})`"
    if family.reasoning is not None:
        yield f"`EngineArgs(reasoning_parser={family.reasoning!r})`"


def recipes() -> str:
    """The page with a recipe for each family of models."""
    parts = [
        MADE + "# Recipes\n",
        _ABOUT_RECIPES,
    ]
    for family in FAMILIES:
        parts.append(f"## {family.name}\n")
        listed = "".join(f"- {line}\n" for line in _parser_lines(family))
        if family.notes:
            listed += f"- {family.notes}\n"
        parts += [listed] if listed else []
        head = " | ".join(gpu.removeprefix("NVIDIA-") for gpu in GPUS)
        rows = [f"| Model | dtype | {head} |", "|---" * (len(GPUS) + 2) + "|"]
        for model in family.models:
            counts = " | ".join(_smallest(model, gpu) for gpu in GPUS)
            rows.append(f"| `{model}` | {_dtype(model)} | {counts} |")
        parts.append("\n".join(rows) + "\n")
        parts.append(_example(family))
    return "\n".join(parts)


def _example(family: Family) -> str:
    model = family.models[0]
    count, gpu = next(
        (found, gpu) for found in map(str, COUNTS) for gpu in GPUS if _smallest(model, gpu) == found
    )
    flags = [f"max_model_len={LENGTH}"]
    if family.tools is not None:
        flags += ["enable_auto_tool_choice=True", f'tool_call_parser="{family.tools}"']
    if family.reasoning is not None:
        flags.append(f'reasoning_parser="{family.reasoning}"')
    listed = "".join(f"        {flag},\n" for flag in flags)
    product = f'"{gpu}"' if count == "1" else f'"{gpu}", count={count}'
    token = '    hf_token=HuggingFaceToken.from_secret("hf-token", key="token"),\n'
    is_gated = "Gated" in family.notes
    more = ", HuggingFaceToken" if is_gated else ""
    return (
        "```python\n"
        "from cdk8s import App, Chart\n\n"
        f"from vllm_constructs import EngineArgs{more}, ModelDeployment, WholeGpu\n\n"
        'chart = Chart(App(), "llm", namespace="llm")\n'
        "ModelDeployment(\n"
        "    chart,\n"
        f'    "{re.sub(r"[^a-z0-9]+", "-", family.name.lower()).strip("-")}",\n'
        f'    model="{model}",\n'
        f"    gpu=WholeGpu({product}),\n"
        f"    engine=EngineArgs(\n{listed}    ),\n"
        f"{token if is_gated else ''}"
        ")\n```\n"
    )


def engine_args() -> str:
    """The page with all keywords of EngineArgs."""
    flags = catalog()["flags"]
    rows = []
    for one in dataclasses.fields(EngineArgs):
        name = f"--{one.name.replace('_', '-')}"
        if name in flags:
            cells = (f"`{one.name}`", f"`{name}`", _type(flags[name], str(one.type)))
            rows.append(f"| {' | '.join((*cells, _default(flags[name])))} |")
    head = f"# Flags of the engine\n\n{_ABOUT_FLAGS}\nThere are {len(rows)}.\n\n"
    columns = "| Keyword | Flag | Type | vLLM's default |\n|---|---|---|---|\n"
    return MADE + head + columns + "\n".join(rows) + "\n"


def _type(flag: Flag, annotation: str) -> str:
    plain = annotation.removesuffix(" | None")
    if choices := flag.get("choices"):
        return ", ".join(f"`{one}`" for one in choices)
    known = re.fullmatch(r"Literal\[(.*)\] \| str", plain)
    if known:
        return f"a string, such as {', '.join(f'`{one}`' for one in ast.literal_eval(known[1]))}"
    # A pipe would end the cell.
    return " or ".join(f"`{one}`" for one in plain.split(" | "))


def _default(flag: Flag) -> str:
    default = flag.get("default")
    return "" if default is None else f"`{default}`"


def references() -> dict[str, str]:
    """The page and the anchor of each public name."""
    pages = {}
    for path in sorted(DOCS.rglob("*.md")):
        for found in MARK.finditer(path.read_text(encoding="utf-8")):
            pages[found[2].rpartition(".")[2]] = f"{path.relative_to(DOCS)}#{found[2]}"
    return pages


def with_reference(path: Path) -> str:
    """A page with the reference of each name that it marks.

    Args:
        path: The page.
    """
    page = path.relative_to(DOCS).as_posix()
    found: str = referenced(path.read_text(encoding="utf-8"), page, references())
    return found


def packaged(path: Path) -> str:
    """A page that is in the package, since the command prints it, too.

    Args:
        path: The page in the package.
    """
    return path.read_text(encoding="utf-8")


def symbols() -> str:
    """The page with all public names."""
    pages = references()
    rows = []
    for name in vllm_constructs.__all__:
        about = (getattr(vllm_constructs, name).__doc__ or "").strip().split("\n\n")[0]
        sentence = " ".join(about.split())
        target = f"[`{name}`]({pages[name]})" if name in pages else f"`{name}`"
        rows.append(f"| {target} | {sentence.replace('|', chr(92) + '|')} |")
    return (
        MADE + "# Symbols\n\nAll public names, each imported from `vllm_constructs`.\n\n"
        "| Name | What it is |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


_ABOUT_SOURCES = """\
Where the facts in the catalogs of `vllm_constructs/data/` come from. Measured figures are named on
the [memory plan's page](memory.md).
"""
_SOURCES = (
    (
        "`vllm-RELEASE.json`: flags, variables, metrics, parsers",
        "the wheel of that release (`make release-data`); that of 0.32 equals what a server says",
    ),
    (
        "`replaced.json`: what took the place of what was removed",
        "the release notes and the source of vLLM",
    ),
    (
        "`accelerators.json`: NVIDIA's products",
        "NVIDIA's data sheets, and the labels of GPU feature discovery",
    ),
    (
        "products of AMD, Intel and Google",
        "named in `amd.py`, `intel.py` and `google.py` of `vllm_constructs/accelerators/`",
    ),
    (
        "`deployment-fields.json`, `kind-fields.json`",
        "the OpenAPI schemas of Kubernetes, and the CRDs of each operator",
    ),
)


def sources() -> str:
    """The page with the source of each entry of the catalogs."""
    behaviors = json.loads((DATA / "behavior.json").read_text(encoding="utf-8"))
    nodes = json.loads((DATA / "nodes.json").read_text(encoding="utf-8"))
    models = json.loads((DATA / "models.json").read_text(encoding="utf-8"))
    tables = (
        ("Behavior of releases", "Behavior", {one["what"]: one for one in behaviors.values()}),
        ("Labels of platforms", "Platform", {one["title"]: one for one in nodes.values()}),
        ("Shapes of models", "Model", models),
    )
    rows = [f"| {name} | {source} |" for name, source in _SOURCES]
    listed = "| Catalog | Source |\n|---|---|\n" + "\n".join(rows)
    parts = [f"{MADE}# Sources\n\n{_ABOUT_SOURCES}\n{listed}\n"]
    for title, head, entries in tables:
        rows = [f"| {name} | {one['source']} |" for name, one in entries.items()]
        parts.append(f"## {title}\n\n| {head} | Source |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _about(folder: Path) -> str:
    """What an example says of itself."""
    tree = ast.parse((folder / "main.py").read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or ""


def examples() -> str:
    """The page with a line for each example."""
    rows = []
    for folder in EXAMPLES:
        first, *_ = _about(folder).splitlines()
        rows.append(f"| [{_title(folder)}](examples/{folder.name}.md) | {first} |")
    table = "| Example | What it is |\n|---|---|\n" + "\n".join(rows)
    return f"{MADE}# Examples\n\n{_ABOUT_EXAMPLES}\n{table}\n"


def example(folder: Path) -> str:
    """The page of an example: what it is, its files, and what it renders.

    Args:
        folder: The example.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path.name))
        if path.suffix in (".py", ".yaml") and "__pycache__" not in path.parts
    ]
    parts = [MADE + f"# {_title(folder)}\n", f"{_about(folder)}\n"]
    for path in files:
        name = path.relative_to(folder).as_posix()
        # Not a block that the tests of pages execute: the tests of examples do.
        language = "{.python}" if path.suffix == ".py" else "{.yaml}"
        text = path.read_text(encoding="utf-8").rstrip()
        fence = "`" * 4
        parts.append(f"## {name}\n\n{fence} {language}\n{text}\n{fence}\n")
    return "\n".join(parts)


def _title(folder: Path) -> str:
    words = folder.name.replace("_", " ")
    return words[0].upper() + words[1:]


def home() -> str:
    """The home page, with the parts of README.md between its marks."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("example", "derived"):
        part = readme.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]
        text = _filled(text, name, part)
    return text


def architecture() -> str:
    """The page of the packages, with a line for each."""
    rows = "".join(f"| `{name}` | {subject(name)} |\n" for name in packages())
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    return _filled(text, "packages", "| Package | Subject |\n|---|---|\n" + rows)


def _filled(text: str, name: str, part: str) -> str:
    """A page with another part between the marks of a name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, _, rest = text.partition(begin)
    return head + begin + part + end + rest.partition(end)[2]


EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/main.py"))
PACKAGED = {
    "fields.md": PACKAGE / "rules" / "fields.md",
    "runbook.md": PACKAGE / "monitoring" / "runbook.md",
    **{f"rules/{path.name}": path for path in sorted(PACKAGE.glob("rules/pages/*.md"))},
}
PAGES: dict[str, Callable[[], str]] = {
    "architecture.md": architecture,
    "index.md": home,
    "recipes.md": recipes,
    "engine_args.md": engine_args,
    "symbols.md": symbols,
    "sources.md": sources,
    "examples.md": examples,
    **{f"examples/{folder.name}.md": partial(example, folder) for folder in EXAMPLES},
    **{name: partial(packaged, path) for name, path in PACKAGED.items()},
    **{
        path.relative_to(DOCS).as_posix(): partial(with_reference, path)
        for path in sorted(DOCS.rglob("*.md"))
        if MARK.search(path.read_text(encoding="utf-8"))
    },
}


def main() -> None:
    """Write all of them."""
    for name, make in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
