"""Loaded by every Python of a container in the tests.

vLLM's processes call sched_yield in a loop while they wait for each other. On two cores and a
recent Linux that starves others that have work to do; a short sleep does not.
"""

import os
import time


def _sleep() -> None:
    time.sleep(0.0005)


os.sched_yield = _sleep
