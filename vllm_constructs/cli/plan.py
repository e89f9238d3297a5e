"""`vllm-constructs plan`: whether models fit on their GPUs, and how many GPUs they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, VllmConstructsError, refuse

from .options import STDIN, check_stdin, completed, format_option, models, products
from .output import Output, progress
from .spelling import as_command

if TYPE_CHECKING:
    from vllm_constructs.accelerators.kinds import Gpu
    from vllm_constructs.memory.shapes import ModelShape
    from vllm_constructs.reading.files import Manifests

FITS, DOES_NOT_FIT = 0, 1

_ALONE = (
    "model",
    "gpu",
    "gpus",
    "gpu_memory_mib",
    "mig",
    "shared",
    "image",
    "vllm",
    "max_model_len",
)
_SINGLE = "one model, without an app; flags of vllm serve may follow after --"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of the verb; their help says what they are.

    Products and numbers may be anything: the classes of the GPUs check them.
    """

    paths: tuple[str, ...] = ()
    format: str = "text"
    config: tuple[str, ...] = ()
    model: str | None = None
    gpu: Any = None
    gpus: Any = None
    gpu_memory_mib: Any = None
    mig: str | None = None
    shared: Any = None
    image: str | None = None
    vllm: str | None = None
    max_model_len: str | None = None


def _number(text: str) -> int | str:
    """An integer; other strings are rejected where all values are checked."""
    try:
        return int(text)
    except ValueError:
        return text


@click.command("plan")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@format_option(("text", "json"))
@click.option(
    "--config",
    multiple=True,
    metavar="FILE",
    help="config.json of a model that the catalog lacks; with a PATH MODEL=FILE.",
)
@click.option(
    "--gpu",
    metavar="PRODUCT",
    shell_complete=completed(products),
    help="Value of the label nvidia.com/gpu.product; with a PATH that of pods whose manifests do "
    "not name their GPU.",
)
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=completed(models),
    help="Name on the Hugging Face Hub.",
)
@click.option("--gpus", type=_number, metavar="COUNT", help="GPUs of the pod.  [default: 1]")
@click.option(
    "--gpu-memory-mib",
    type=_number,
    metavar="MIB",
    help="Memory of a GPU that the catalog lacks.",
)
@click.option("--mig", metavar="PROFILE", help="One MIG slice, of --gpu or of any GPU.")
@click.option("--shared", type=_number, metavar="PODS", help="Pods that share the GPU.")
@click.option("--image", help="Image of vLLM.  [default: the newest known release]")
@click.option(
    "--vllm", metavar="RELEASE", help="Release of vLLM in an image of your own, such as 0.33.0."
)
@click.option("--max-model-len", metavar="TOKENS", help="Tokens of the longest request.")
@click.option_panel("Options", options=["--format", "--config", "--gpu", "--help"])
@click.option_panel(
    _SINGLE,
    options=[
        *("--model", "--gpus", "--gpu-memory-mib", "--mig", "--shared"),
        *("--image", "--vllm", "--max-model-len"),
    ],
)
@click.pass_obj
def command(flags: list[str], /, **options: Any) -> Output:
    """Check whether models fit on their GPUs, and count the GPUs that they need.

    A PATH is an app (main.py), which is run, a file or folder of manifests (dist), or - for
    standard input.

    Exit code: 0 if all known models fit, 1 if one does not, 2 for a mistake.
    """
    return _output(Options(**options), flags)


def _output(options: Options, flags: list[str]) -> Output:
    alone = [name for name in _ALONE if getattr(options, name) is not None]
    if options.paths and options.gpu is not None:
        # For pods whose manifests do not name their GPU.
        alone.remove("gpu")
    if not options.paths:
        if options.model is None and not options.config:
            refuse("plan needs an app, a folder or --model; see vllm-constructs plan --help.")
        return _one(options, flags)
    if alone or flags:
        name = "--" + alone[0].replace("_", "-") if alone else "--"
        text, advice = "is for one model, not for an app or folder", "leave one of them out"
        refuse(Problem(where=name, text=text, advice=advice))
    return _all(options)


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


def _refused(sentence: str, options: Options, **more: str) -> Output:
    """The output for a model that does not fit, if no plan can be made."""
    refused = {**more, "verdict": "refused", "reason": sentence}
    return Output(_json(refused) if options.format == "json" else sentence, DOES_NOT_FIT)


def _one(options: Options, flags: list[str]) -> Output:
    """The plan of one model, without an app."""
    from vllm_constructs.engine.command_line_parser import parsed, read
    from vllm_constructs.memory import fit
    from vllm_constructs.memory.shapes import ModelShape
    from vllm_constructs.releases.release import DEFAULT_IMAGE, VllmRelease

    gpu = _gpu(options)
    length = [] if options.max_model_len is None else [f"--max-model-len={options.max_model_len}"]
    if options.vllm is not None and options.image is None:
        text = "needs an --image whose tag does not specify the release"
        refuse(Problem(where="--vllm", text=text, advice="give --image too"))
    image = DEFAULT_IMAGE if options.image is None else options.image
    release = VllmRelease(image, vllm=options.vllm)
    line = read(flags, release)
    if line.model or "config" in line.options:
        advice = "give --model and --config before it"
        refuse(Problem(where="--", text="may be followed by flags only", advice=advice))
    line = read([options.model or "model", *length, *flags], release, has_variables=False)
    for problem in line.problems:
        refuse(problem)
    engine = parsed(line, release, is_complete=False).engine
    if len(options.config) > 1:
        advice = "give the model's config.json only"
        refuse(Problem(where="--config", text="is given more than once", advice=advice))
    if options.config:
        shape = ModelShape.from_config(options.config[0], name=options.model)
    else:
        shape = ModelShape.named(options.model or "")
    try:
        plan = fit.plan_of(shape, gpu, engine, release)
    except VllmConstructsError as error:
        return _refused(error.problem.sentence(as_command), options, model=shape.name)
    if isinstance(plan, Problem):
        refuse(plan)
    text = _json(plan.as_dict()) if options.format == "json" else plan.explain(as_command)
    return Output(text, DOES_NOT_FIT if plan.verdict == "too large" else FITS)


def _gpu(options: Options) -> Gpu:
    """The GPUs on the command line."""
    from vllm_constructs.accelerators import amd, intel
    from vllm_constructs.accelerators.amd import AmdGpu
    from vllm_constructs.accelerators.intel import Gaudi, IntelGpu
    from vllm_constructs.accelerators.nvidia import MigSlice, TimeSlicedGpu, WholeGpu

    count = 1 if options.gpus is None else options.gpus
    if options.mig is not None:
        if options.shared is not None or options.gpu_memory_mib is not None:
            advice = "leave --shared and --gpu-memory-mib out"
            refuse(Problem(where="--mig", text="allows no other option but --gpu", advice=advice))
        if count != 1:
            refuse(_only_whole("MIG slice"))
        return MigSlice(options.mig, product=options.gpu)
    if options.gpu is None:
        advice = "give the value of the node label nvidia.com/gpu.product, or --mig"
        refuse(Problem(where="--gpu", text="is missing", advice=advice))
    memory = options.gpu_memory_mib
    if options.shared is not None:
        if count != 1:
            refuse(_only_whole("share"))
        return TimeSlicedGpu(options.gpu, replicas=options.shared, memory_mib=memory)
    if amd.product_of(options.gpu) is not None:
        return AmdGpu(options.gpu, count=count, memory_mib=memory)
    if options.gpu in intel.MEMORY:
        return IntelGpu(options.gpu, count=count, memory_mib=memory)
    if options.gpu in intel.GAUDI_MEMORY and memory is None:
        return Gaudi(options.gpu, count=count)
    return WholeGpu(options.gpu, count=count, memory_mib=memory)


def _only_whole(other: str) -> Problem:
    text = f"is for whole GPUs, but an engine can use only one {other}"
    return Problem(where="--gpus", text=text, advice="leave it out")


def _all(options: Options) -> Output:
    """The plan of all models of apps, folders and files."""
    from vllm_constructs.reading import files
    from vllm_constructs.reading.workloads import deployed_models, unread_workloads

    from . import plan_table

    shapes = dict(_shape(config) for config in options.config)
    parts = []
    check_stdin(options.paths)
    for path in options.paths:
        found = _read(path)
        if isinstance(found, Problem):
            return _refused(found.sentence(), options)
        parts.append(found)
    found = files.joined(parts)
    models = deployed_models(found.objects, options.gpu)
    unread = (*found.unread, *unread_workloads(found.objects))
    rows = [plan_table.row(model, shapes) for model in models]
    if not rows and unread:
        refuse(unread[0])
    if not rows:
        named = " and ".join(map(repr, options.paths))
        refuse(f"{named} has no workload that runs vLLM; give the folder of the models.")
    code = FITS if all(row.fits for row in rows) else DOES_NOT_FIT
    if options.format == "json":
        return Output(_json(plan_table.as_dict(rows, unread)), code)
    return Output(plan_table.table(rows, unread), code)


def _read(given: str) -> Manifests | Problem:
    """The objects of an app, a file or a folder; the problem of an app that does not fit."""
    from vllm_constructs.reading import files

    if given == STDIN:
        return files.read_stdin()
    path = Path(given)
    if not path.exists():
        refuse(f"{given!r} does not exist; give an app such as main.py, or a folder of YAML.")
    if path.suffix != ".py":
        return files.read(path)
    import tempfile

    from .app_runner import render

    with tempfile.TemporaryDirectory() as folder, progress(f"rendering {given}"):
        rejected = render(path, Path(folder))
        if rejected is None:
            return files.read(Path(folder))
    if rejected.problem.kind == "does not fit":
        return rejected.problem
    where = f"{given}:{rejected.line}" if rejected.line else given
    return refuse(f"{where!r} is rejected: {rejected.problem.sentence()}")


def _shape(given: str) -> tuple[str, ModelShape]:
    """A model, and its shape from its config.json."""
    from vllm_constructs.memory.shapes import ModelShape

    name, equals, file = given.partition("=")
    if not equals:
        require.wrong("--config", given, "MODEL=FILE with an app")
    return name, ModelShape.from_config(file, name=name)
