"""`python -m vllm_constructs`, the same as the command `vllm-constructs`."""

import sys

from .cli import main

sys.exit(main())
