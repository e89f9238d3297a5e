"""`python -m vllm_constructs`, the same as the command `vllm-constructs`."""

import sys

from vllm_constructs.cli.main import main

sys.exit(main())
