"""`vllm-constructs completion`: the script with which a shell completes this command."""

from __future__ import annotations

import rich_click as click

from .options import Choice
from .output import Output

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_VLLM_CONSTRUCTS_COMPLETE"


@click.command("completion")
@click.argument("shell", metavar="[bash|zsh|fish]", type=Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> Output:
    """Print the script with which a shell completes verbs, options and their values.

    In ~/.bashrc: source <(vllm-constructs completion bash)

    In ~/.zshrc, after compinit: source <(vllm-constructs completion zsh)

    For fish, once:
    vllm-constructs completion fish > ~/.config/fish/completions/vllm-constructs.fish
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kind = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    found = kind(context.find_root().command, {}, "vllm-constructs", VARIABLE)
    # click asks the installed bash for its version; the script is right for all that are in use.
    return Output((found.source_template % found.source_vars()).strip())
