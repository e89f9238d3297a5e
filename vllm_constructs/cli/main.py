"""The command `vllm-constructs`: its verbs, its errors, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import rich_click as click

from vllm_constructs import require
from vllm_constructs._version import __version__
from vllm_constructs.errors import Problem, VllmConstructsError, VllmConstructsWarning, refuse

from .completion import VARIABLE
from .output import Output, show
from .spelling import as_command

USAGE = 2
INTERRUPTED = 130
NAME = "vllm-constructs"
VERBS = ("plan", "check", "diff", "explain", "list", "completion")

_STYLE = {
    "max_width": 80,
    "style_options_panel_box": None,
    "style_commands_panel_box": None,
    "text_paragraph_linebreaks": "\n\n",
}


class Verbs(click.RichGroup):
    """The verbs, each loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the help."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of a name."""
        from importlib import import_module

        del ctx
        if cmd_name not in VERBS:
            return None
        found: click.Command = import_module(f".{cmd_name}", __package__).command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the first word names.

        Raises:
            VllmConstructsError: It names none.
        """
        if args[0] not in VERBS and not args[0].startswith("-"):
            near = require.nearest(args[0], VERBS) or f"it has {', '.join(VERBS)}"
            text = f"has no verb {require.shown(args[0])}"
            refuse(Problem(where=NAME, text=text.replace("{", "{{"), advice=near))
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"rich_help_config": _STYLE})
@click.version_option(__version__, prog_name=NAME, message="%(prog)s %(version)s")
def group() -> None:
    """Plan, check and compare manifests of vLLM on Kubernetes."""


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
            output = _run(given)
    except VllmConstructsError as error:
        sys.stderr.write(f"{NAME}: {error.problem.sentence(as_command)}\n")
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    if output is None:
        return 0 if given else USAGE
    show(output)
    return output.code


def _run(given: list[str]) -> Output | None:
    """The output of the verb; None if click has printed help."""
    # Everything after the first -- is vLLM's.
    at = given.index("--") if "--" in given else len(given)
    words, flags = given[:at], given[at + 1 :]
    if flags and words and words[0] in VERBS and words[0] != "plan":
        text = f"is for flags of vllm serve, which {words[0]} has no use for"
        refuse(Problem(where="--", text=text, advice="leave it out"))
    try:
        found = group.main(
            args=words or ["--help"],
            prog_name=NAME,
            complete_var=VARIABLE,
            standalone_mode=False,
            obj=flags,
        )
    except click.NoSuchOption as error:
        _refuse_option(error, words)
    except click.ClickException as error:
        where = f"{NAME} {words[0]}" if words and words[0] in VERBS else NAME
        message = error.format_message().rstrip(".")
        refuse(f"{message[:1].lower()}{message[1:]}; see {where} --help.")
    return found if isinstance(found, Output) else None


def _refuse_option(error: click.NoSuchOption, words: list[str]) -> NoReturn:
    """Reject a word that is no option of the verb."""
    from vllm_constructs.releases.release import catalog, other_spelling

    # Of -tp, click tells -t.
    word = next((one for one in words if one.startswith(error.option_name)), error.option_name)
    name = word.partition("=")[0]
    context = error.ctx
    verb = "" if context is None else str(context.info_name)
    if verb == "plan" and (name in catalog()["flags"] or other_spelling(catalog(), name)):
        text, advice = "is a flag of vllm serve", "give it after --"
    else:
        known = [] if context is None else [one.name or "" for one in context.command.params]
        near = require.nearest(name.lstrip("-"), [one.replace("_", "-") for one in known])
        path = NAME if context is None else context.command_path
        text, advice = "is not an option", near or f"see {path} --help"
    refuse(Problem(where=require.shown(name), text=text, advice=advice))
