"""The command `vllm-constructs`: its verbs and their options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, VllmConstructsWarning, refuse

from .spelling import as_command

USAGE = 2

_ABOUT = "Check whether models fit on their GPUs, and count the GPUs that they need."
_EPILOG = "Exit code: 0 if all known models fit, 1 if one does not, 2 for a mistake."


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, as everywhere in this library."""

    def error(self, message: str) -> NoReturn:
        """Raise argparse's message."""
        refuse(f"{message}; see {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: Arguments without the program's name. Default: those of the process.
    """
    import warnings

    given = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings():
            # The output has them at their models.
            warnings.simplefilter("ignore", VllmConstructsWarning)
            text, code = _run(given)
    except VllmConstructsError as error:
        sys.stderr.write(f"vllm-constructs: {error.problem.sentence(as_command)}\n")
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
    return parser


def _number(text: str) -> int | str:
    """An integer; other strings are rejected where all values are checked."""
    try:
        return int(text)
    except ValueError:
        return text


def _run(given: list[str]) -> tuple[str, int]:
    from . import plan

    # Everything after the first -- is vLLM's.
    at = given.index("--") if "--" in given else len(given)
    options, unknown = _parser().parse_known_args(given[:at])
    if unknown:
        refuse(_unknown(unknown[0], options))
    return plan.run(options, given[at + 1 :])


def _unknown(word: str, options: argparse.Namespace) -> Problem:
    """Why a word is rejected that is neither an option of the verb nor its app."""
    from vllm_constructs.releases.release import catalog, other_spelling

    name = word.partition("=")[0]
    if not name.startswith("-"):
        text, advice = "is a second app or folder", "give one"
    elif name in catalog()["flags"] or other_spelling(catalog(), name):
        text, advice = "is a flag of vllm serve", "give it after --"
    else:
        known = [key.replace("_", "-") for key in vars(options) if key not in ("app", "verb")]
        near = require.nearest(name.lstrip("-"), known)
        text, advice = "is not an option", near or "see vllm-constructs plan --help"
    return Problem(where=require.shown(name), text=text, advice=advice)
