"""`vllm-constructs plan`: whether models fit on their GPUs, and how many GPUs they need."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, refuse

from .spelling import as_command

if TYPE_CHECKING:
    from vllm_constructs.accelerators.kinds import Gpu
    from vllm_constructs.memory.shapes import ModelShape

FITS, DOES_NOT_FIT = 0, 1

_ABOUT = "Check whether models fit on their GPUs, and count the GPUs that they need."
_EPILOG = "Exit code: 0 if all known models fit, 1 if one does not, 2 for a mistake."

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


def add_parser(verbs: Any) -> None:
    """Add the verb to the command.

    Args:
        verbs: The verbs of the command.
    """
    plan = verbs.add_parser(
        "plan", help=_ABOUT, description=_ABOUT, epilog=_EPILOG, allow_abbrev=False
    )
    plan.add_argument(
        "app", nargs="?", help="an app (main.py), which is run, or a folder of manifests (dist)"
    )
    plan.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    plan.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="config.json of a model that the catalog lacks; with an app MODEL=FILE",
    )
    single = plan.add_argument_group(
        "one model, without an app", "flags of `vllm serve` may follow after --"
    )
    single.add_argument("--model", help="name on the Hugging Face Hub")
    single.add_argument(
        "--gpu",
        metavar="PRODUCT",
        help="value of the label nvidia.com/gpu.product; with an app or folder that of pods whose "
        "manifests do not name their GPU",
    )
    single.add_argument("--gpus", type=_number, metavar="COUNT", help="default: 1")
    single.add_argument(
        "--gpu-memory-mib",
        type=_number,
        metavar="MIB",
        help="memory of a GPU that the catalog lacks",
    )
    single.add_argument("--mig", metavar="PROFILE", help="one MIG slice, of --gpu or of any GPU")
    single.add_argument("--shared", type=_number, metavar="PODS", help="pods that share the GPU")
    single.add_argument("--image", help="vLLM image; default: the newest known release")
    single.add_argument(
        "--vllm", metavar="RELEASE", help="vLLM release in an image of your own, such as 0.33.0"
    )
    single.add_argument("--max-model-len", metavar="TOKENS", help="tokens of the longest request")


def _number(text: str) -> int | str:
    """An integer; other strings are rejected where all values are checked."""
    try:
        return int(text)
    except ValueError:
        return text


def run(options: argparse.Namespace, flags: list[str]) -> tuple[str, int]:
    """The output of the verb, and its exit code.

    Args:
        options: The options of the verb.
        flags: Flags of `vllm serve` for one model.

    Raises:
        VllmConstructsError: Options exclude each other, or an input cannot be read.
    """
    alone = [name for name in _ALONE if getattr(options, name) is not None]
    if options.app is not None and options.gpu is not None:
        # For pods whose manifests do not name their GPU.
        alone.remove("gpu")
    if options.app is None:
        if options.model is None and not options.config:
            refuse("plan needs an app, a folder or --model; see vllm-constructs plan --help.")
        return _one(options, flags)
    if alone or flags:
        name = "--" + alone[0].replace("_", "-") if alone else "--"
        text, advice = "is for one model, not for an app or folder", "leave one of them out"
        refuse(Problem(where=name, text=text, advice=advice))
    return _app(Path(options.app), options)


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


def _refused(sentence: str, options: argparse.Namespace, **more: str) -> tuple[str, int]:
    """The output for a model that does not fit, if no plan can be made."""
    refused = {**more, "verdict": "refused", "reason": sentence}
    return (_json(refused) if options.format == "json" else sentence), DOES_NOT_FIT


def _one(options: argparse.Namespace, flags: list[str]) -> tuple[str, int]:
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
        shape = ModelShape.named(options.model)
    try:
        plan = fit.plan_of(shape, gpu, engine, release)
    except VllmConstructsError as error:
        return _refused(error.problem.sentence(as_command), options, model=shape.name)
    if isinstance(plan, Problem):
        refuse(plan)
    text = _json(plan.as_dict()) if options.format == "json" else plan.explain(as_command)
    return text, DOES_NOT_FIT if plan.verdict == "too large" else FITS


def _gpu(options: argparse.Namespace) -> Gpu:
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


def _app(path: Path, options: argparse.Namespace) -> tuple[str, int]:
    """The plan of all models of an app or a folder."""
    from vllm_constructs.reading import files
    from vllm_constructs.reading.workloads import deployed_models, unread_workloads

    from . import plan_table

    shapes = dict(_shape(config) for config in options.config)
    if not path.exists():
        refuse(f"{str(path)!r} does not exist; give an app such as main.py, or a folder of YAML.")
    if path.suffix == ".py":
        import tempfile

        from .app_runner import render

        with tempfile.TemporaryDirectory() as folder:
            problem = render(path, Path(folder))
            if problem is not None and problem.kind == "does not fit":
                return _refused(problem.sentence(), options)
            if problem is not None:
                refuse(f"{str(path)!r} ends with an error: {problem.sentence()}")
            found = files.read(Path(folder))
    else:
        found = files.read(path)
    models = deployed_models(found.objects, options.gpu)
    unread = (*found.unread, *unread_workloads(found.objects))
    rows = [plan_table.row(model, shapes) for model in models]
    if not rows and unread:
        refuse(unread[0])
    if not rows:
        refuse(f"{str(path)!r} has no workload that runs vLLM; give the folder of the models.")
    if options.format == "json":
        text = _json(plan_table.as_dict(rows, unread))
    else:
        text = plan_table.as_text(rows, unread)
    return text, FITS if all(row.fits for row in rows) else DOES_NOT_FIT


def _shape(given: str) -> tuple[str, ModelShape]:
    """A model, and its shape from its config.json."""
    from vllm_constructs.memory.shapes import ModelShape

    name, equals, file = given.partition("=")
    if not equals:
        require.wrong("--config", given, "MODEL=FILE with an app")
    return name, ModelShape.from_config(file, name=name)
