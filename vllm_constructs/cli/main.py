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

_ABOUT = "Plan, check and compare manifests of vLLM."


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
    from . import check, diff, explain, plan

    parser = _Parser(prog="vllm-constructs", description=_ABOUT, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    for verb in (plan, check, diff, explain):
        verb.add_parser(verbs)
    return parser


def _run(given: list[str]) -> tuple[str, int]:
    from importlib import import_module

    # Everything after the first -- is vLLM's.
    at = given.index("--") if "--" in given else len(given)
    options, unknown = _parser().parse_known_args(given[:at])
    if unknown:
        refuse(_unknown(unknown[0], options))
    flags = given[at + 1 :]
    if flags and options.verb != "plan":
        text = f"is for flags of vllm serve, which {options.verb} has no use for"
        refuse(Problem(where="--", text=text, advice="leave it out"))
    output: tuple[str, int] = import_module(f".{options.verb}", __package__).run(options, flags)
    return output


def _unknown(word: str, options: argparse.Namespace) -> Problem:
    """Why a word is rejected that is neither an option of the verb nor what it works on."""
    from vllm_constructs.releases.release import catalog, other_spelling

    name, verb = word.partition("=")[0], options.verb
    is_flag = name in catalog()["flags"] or other_spelling(catalog(), name)
    if not name.startswith("-"):
        text, advice = "is a second app or folder", "give one"
    elif is_flag and verb == "plan":
        text, advice = "is a flag of vllm serve", "give it after --"
    else:
        # Arguments have no dashes.
        given = ("app", "verb", "paths", "rules", "old", "new")
        known = [key.replace("_", "-") for key in vars(options) if key not in given]
        near = require.nearest(name.lstrip("-"), known)
        text, advice = "is not an option", near or f"see vllm-constructs {verb} --help"
    return Problem(where=require.shown(name), text=text, advice=advice)
