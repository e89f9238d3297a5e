"""`python -m vllm_constructs` runs the command `vllm-constructs`."""

import sys

from vllm_constructs.cli.main import main

sys.exit(main())
