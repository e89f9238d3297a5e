"""Prints what vLLM says of itself as JSON; runs in its environment."""

import json

from vllm import envs
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser

parser = make_arg_parser(FlexibleArgumentParser())
flags = {
    name: action.default if isinstance(action.default, (bool, int, float, str)) else None
    for action in parser._actions
    for name in action.option_strings
    if name.startswith("--")
}
told = {
    "flags": flags,
    "environment": sorted(envs.environment_variables),
    "reasoning_parsers": sorted(ReasoningParserManager.list_registered()),
    "tool_call_parsers": sorted(ToolParserManager.list_registered()),
}
print(json.dumps(told))
