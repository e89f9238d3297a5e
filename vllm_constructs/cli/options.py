"""Options that several verbs have, each declared once, and how a shell completes their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import rich_click as click

from vllm_constructs import require
from vllm_constructs.errors import Problem, refuse

STDIN = "-"
"""The path that means the standard input."""

F = TypeVar("F", bound=Callable[..., Any])
Completion = Callable[[click.Context, click.Parameter, str], list[str]]


class Choice(click.Choice[str]):
    """A choice whose error is a sentence with all choices, as everywhere in this library."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The value, if it is one of them."""
        del ctx
        name = "" if param is None else param.opts[0]
        return require.choice(name, value, list(self.choices))


def check_stdin(paths: Sequence[str]) -> None:
    """Reject the standard input twice: nothing is left of it for the second one.

    Args:
        paths: The paths that a verb was given.

    Raises:
        VllmConstructsError: Two of them are the standard input.
    """
    if paths.count(STDIN) > 1:
        refuse(Problem(where=STDIN, text="is given twice", advice="give it once"))


def completed(values: Callable[[], Iterable[str]]) -> Completion:
    """Completion of the beginning of a value.

    Args:
        values: Gives all values.
    """

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
        del context, parameter
        return [value for value in sorted(values()) if value.lower().startswith(begun.lower())]

    return complete


def rule_ids() -> list[str]:
    """The ids of all rules."""
    from vllm_constructs.rules.check import every_rule

    return [rule.id for rule in every_rule()]


def products() -> list[str]:
    """The products of all accelerators."""
    from .catalogs import gpus

    return [str(row["product"]) for row in gpus("")]


def models() -> list[str]:
    """The names of all models of the catalog."""
    from vllm_constructs.memory.shapes import catalog

    return list(catalog())


def format_option(choices: Sequence[str], default: str | None = "text") -> Callable[[F], F]:
    """The option `--format`.

    Args:
        choices: The formats of the verb.
        default: The format, or None if other settings may say it.
    """
    return click.option(
        "--format",
        type=Choice(choices),
        default=default,
        help="Format of the output.  [default: text]",
    )


def kubernetes(command: F) -> F:
    """The option `--kubernetes`."""
    return click.option(
        "--kubernetes", metavar="RELEASE", help="Release of the cluster, such as 1.34."
    )(command)


def gpu(command: F) -> F:
    """The option `--gpu`."""
    return click.option(
        "--gpu",
        metavar="PRODUCT",
        shell_complete=completed(products),
        help="Product of GPUs that the manifests do not name: the label nvidia.com/gpu.product.",
    )(command)
