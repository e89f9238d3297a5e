"""The command `vllm-constructs`: whether models fit, and how many GPUs they take."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vllm_constructs import require
from vllm_constructs.errors import VllmConstructsError, VllmConstructsWarning, refuse

if TYPE_CHECKING:
    from vllm_constructs.memory.options import Gpu
    from vllm_constructs.memory.shapes import ModelShape

FITS, TOO_LARGE, USAGE = 0, 1, 2

# What the sentences say of a model that was planned and cannot run.
_TOO_LARGE = ("does not fit on", "cannot be split over")
_ABOUT = "Say whether models fit on their GPUs, and how many GPUs they take."
_EPILOG = "Exit code: 0 where all that is known fits, 1 where something does not, 2 for a mistake."


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence, like all others of this library."""

    def error(self, message: str) -> NoReturn:
        """Refuse with argparse's own words."""
        refuse(f"{message}; see {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code.

    Args:
        argv: Arguments without the program's name. Default: those of the process.
    """
    import warnings

    given = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings():
            # What is tight is said in the output, at its model.
            warnings.simplefilter("ignore", VllmConstructsWarning)
            text, code = _run(given)
    except VllmConstructsError as error:
        sys.stderr.write(f"vllm-constructs: {error}\n")
        return USAGE
    sys.stdout.write(f"{text}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="vllm-constructs", description=_ABOUT, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="plan")
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
        help="config.json of a model that the catalogue lacks; beside an app MODEL=FILE",
    )
    one = plan.add_argument_group(
        "one model, without an app", "flags of `vllm serve` may follow after --"
    )
    one.add_argument("--model", help="name on the Hugging Face Hub")
    one.add_argument("--gpu", metavar="PRODUCT", help="GPU as its nodes are labelled")
    one.add_argument("--gpus", type=int, default=None, metavar="COUNT", help="default: 1")
    one.add_argument("--gpu-memory-mib", type=int, metavar="MIB", help="of a GPU that is unknown")
    one.add_argument("--mig", metavar="PROFILE", help="one MIG slice, of --gpu or of any GPU")
    one.add_argument("--shared", type=int, metavar="PODS", help="pods that share the GPU")
    one.add_argument("--image", help="vLLM image; default: the newest known release")
    one.add_argument("--vllm", metavar="RELEASE", help="vLLM in an image of your own, as 0.33.0")
    one.add_argument("--max-model-len", metavar="TOKENS", help="tokens of the longest request")
    return parser


def _run(given: list[str]) -> tuple[str, int]:
    # Everything after the first -- is vLLM's.
    at = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:at])
    flags = given[at + 1 :]
    alone = [name for name in _ALONE if getattr(options, name) is not None]
    if options.app is None:
        if options.model is None and not options.config:
            refuse("plan needs an app, a folder or --model; see vllm-constructs plan --help.")
        return _one(options, flags)
    if alone or flags:
        name = "--" + alone[0].replace("_", "-") if alone else "--"
        refuse(f"{name} is for one model; leave it out beside an app, or the app beside it.")
    return _app(Path(options.app), options)


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


def _json(found: object) -> str:
    import json

    return json.dumps(found, indent=2, ensure_ascii=False)


def _one(options: argparse.Namespace, flags: list[str]) -> tuple[str, int]:
    """The plan of one model, from the command line alone."""
    from vllm_constructs.engine import command_line_parser as argv
    from vllm_constructs.memory import fit
    from vllm_constructs.memory.shapes import ModelShape
    from vllm_constructs.releases.release import DEFAULT_IMAGE, VllmRelease

    gpu = _gpu(options)
    length = [] if options.max_model_len is None else [f"--max-model-len={options.max_model_len}"]
    if options.vllm is not None and options.image is None:
        refuse("--vllm goes with an --image whose tag does not say it; give --image too.")
    image = DEFAULT_IMAGE if options.image is None else options.image
    release = VllmRelease(image, vllm=options.vllm)
    line = argv.read(flags, release)
    if line.model or "config" in line.options:
        refuse("after -- only flags that no --model and no --config say may stand.")
    found = argv.parse_args([options.model or "model", *length, *flags], release=release)
    if len(options.config) > 1:
        refuse("--config is given more than once; one model has one config.json.")
    if options.config:
        shape = ModelShape.from_config(options.config[0], name=options.model)
    else:
        shape = ModelShape.named(options.model)
    try:
        plan = fit.plan_of(shape, gpu, found.engine, release)
    except VllmConstructsError as error:
        refused = {"model": shape.name, "verdict": "refused", "reason": str(error)}
        return (_json(refused) if options.format == "json" else str(error)), TOO_LARGE
    if isinstance(plan, str):
        refuse(plan)
    text = _json(plan.as_dict()) if options.format == "json" else plan.explain()
    return text, TOO_LARGE if plan.verdict == "too large" else FITS


def _gpu(options: argparse.Namespace) -> Gpu:
    """The GPU that the command line names."""
    from vllm_constructs.accelerators.nvidia import MigSlice, TimeSlicedGpu, WholeGpu

    count = 1 if options.gpus is None else options.gpus
    if options.mig is not None:
        if options.shared is not None or options.gpu_memory_mib is not None:
            refuse("--mig goes with --gpu only; leave --shared and --gpu-memory-mib out.")
        return MigSlice(options.mig, product=options.gpu, count=count)
    if options.gpu is None:
        refuse("--gpu is missing; give the product as its nodes are labelled, or --mig.")
    memory = options.gpu_memory_mib
    if options.shared is not None:
        return TimeSlicedGpu(options.gpu, replicas=options.shared, count=count, memory_mib=memory)
    return WholeGpu(options.gpu, count=count, memory_mib=memory)


def _app(path: Path, options: argparse.Namespace) -> tuple[str, int]:
    """The plan of all models of an app or a folder."""
    from vllm_constructs.reading import files as manifests
    from vllm_constructs.reading import workloads as rendered

    from . import plan_table

    shapes = dict(_shape(one) for one in options.config)
    if not path.exists():
        refuse(f"{str(path)!r} does not exist; give an app such as main.py, or a folder of YAML.")
    if path.suffix == ".py":
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            refused = _render(path, Path(folder))
            if refused:
                found = {"verdict": "refused", "reason": refused}
                return (_json(found) if options.format == "json" else refused), TOO_LARGE
            objects = manifests.read(Path(folder))
    else:
        objects = manifests.read(path)
    rows = [plan_table.row(one, shapes) for one in rendered.models(objects)]
    if not rows:
        refuse(f"no Deployment of vLLM is in {str(path)!r}; give the folder that has the models.")
    found = plan_table.as_dict(rows)
    text = _json(found) if options.format == "json" else plan_table.as_text(rows)
    return text, FITS if all(one.fits for one in rows) else TOO_LARGE


def _shape(given: str) -> tuple[str, ModelShape]:
    """A model and the shape that its config.json gives."""
    from vllm_constructs.memory.shapes import ModelShape

    name, equals, file = given.partition("=")
    if not equals:
        require.wrong("--config", given, "MODEL=FILE beside an app")
    return name, ModelShape.from_config(file, name=name)


def _render(app: Path, folder: Path) -> str:
    """Run an app so that it writes into `folder`; the sentence, where a model does not fit."""
    import os
    import subprocess

    # As `make synth` and cdk8s run it: in its own folder, with the Python that runs this.
    done = subprocess.run(  # noqa: S603  # the app is the user's own
        [sys.executable, app.name],
        cwd=app.resolve().parent,
        env=os.environ | {"CDK8S_OUTDIR": str(folder)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        sentence = last.removeprefix("vllm_constructs.VllmConstructsError: ")
        # The app ended in another process, so its sentence is all there is to tell by.
        if sentence != last and any(one in sentence for one in _TOO_LARGE):
            return sentence
        refuse(f"{str(app)!r} ends with an error: {sentence}")
    if not any(folder.iterdir()):
        refuse(
            f"{str(app)!r} writes nothing into CDK8S_OUTDIR; leave outdir= of its App out, or "
            "give the folder that it writes."
        )
    return ""
