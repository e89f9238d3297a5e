"""What options complete, and what a wrong choice is told."""

import pytest
import rich_click as click

from vllm_constructs import VllmConstructsError
from vllm_constructs.cli.options import Choice, completed, models, products, rule_ids


@pytest.mark.parametrize(
    ("values", "one"),
    [(rule_ids, "P01"), (products, "NVIDIA-L40S"), (models, "Qwen/Qwen2.5-7B-Instruct")],
)
def test_values(values: object, one: str) -> None:
    """Each value completes by its beginning, in capitals or not."""
    complete = completed(values)  # type: ignore[arg-type]  # one of the functions above
    context = click.Context(click.Command("a"))
    for begun in (one[:2].lower(), one[:-1].upper(), one):
        assert one in complete(context, click.Option(["--a"]), begun)
    assert [] == complete(context, click.Option(["--a"]), "none of them")


def test_choice() -> None:
    """A wrong choice is told with all choices and the nearest one."""
    command = click.Command("a", params=[click.Option(["--format"], type=Choice(["text", "json"]))])
    with pytest.raises(VllmConstructsError) as caught:
        command.main(["--format=jsn"], standalone_mode=False)
    assert "--format is 'jsn'; expected one of 'text', 'json'; did you mean 'json'?" in str(
        caught.value
    )
