"""An app that asks for a name that is not there."""

import vllm_constructs
from vllm_constructs import ModelDeploymnet  # wrong: a misspelt name

names = [ModelDeploymnet]
names.append(vllm_constructs.StreamingIngres)  # wrong: a misspelt name
