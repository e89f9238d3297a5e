"""Remake imports/ with `cdk8s import`, for the kinds that main.py uses and the library lacks.

The prose of a CRD is its authors' text and would make up most of the generated module, so names
and types are all that is kept, on the way in and on the way out. The CRDs are not listed under
`imports:` in cdk8s.yaml: `cdk8s synth --format helm` would then need the files, and put CRDs that
belong to another chart into ours.
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CRDS = ROOT.parent / "shared" / "crds"
# CRDs of one group go into one inner tuple: a second import of a group overwrites the first.
GROUPS = (("cert-manager.io_clusterissuers.yaml",),)


def without_prose(schema: Any) -> Any:
    """Give a copy of an OpenAPI schema without descriptions.

    Under `properties` every key is the name of a field, and a field may be called `description`.
    """
    if isinstance(schema, list):
        return [without_prose(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: without_prose(field) for name, field in value.items()}
        if key == "properties"
        else without_prose(value)
        for key, value in schema.items()
        if key != "description"
    }


def without_docstrings(source: str) -> str:
    """Give Python source without docstrings, its other lines as they are."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        strings = [
            statement
            for statement in node.body
            if isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        ]
        for string in strings:
            first, last = string.lineno - 1, string.end_lineno or string.lineno
            lines[first:last] = [""] * (last - first)
        if strings and len(strings) == len(node.body):
            lines[strings[0].lineno - 1] = " " * strings[0].col_offset + "pass\n"
    return "".join(lines)


def generate(crds: list[Path], folder: Path) -> None:
    """Run `cdk8s import` on CRDs of one group."""
    documents = [
        without_prose(document)
        for crd in crds
        for document in yaml.safe_load_all(crd.read_text(encoding="utf-8"))
    ]
    bare = folder / "crds.yaml"
    bare.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    done = subprocess.run(
        [ROOT / "node_modules/.bin/cdk8s", "import", bare, "--language=python", "--no-save"],
        cwd=folder,
        env={**os.environ, "CDK8S_CHECK_UPGRADE": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    # The command warns about its own use of Node whatever happens: only a failure is worth reading.
    if done.returncode:
        sys.exit(f"cdk8s import failed:\n{done.stdout}")


def main() -> None:
    """Generate into a temporary folder, and put the result into place at the end."""
    if not CRDS.is_dir():
        sys.exit(f"{os.path.relpath(CRDS)} is not there: imports/ is left as it is.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for group in GROUPS:
            generate([CRDS / crd for crd in group], folder)
        made = folder / "imports"
        for module in made.rglob("*.py"):
            text = module.read_text(encoding="utf-8")
            module.write_text(without_docstrings(text), encoding="utf-8")
        shutil.rmtree(ROOT / "imports", ignore_errors=True)
        shutil.copytree(made, ROOT / "imports")


if __name__ == "__main__":
    main()
