"""The wheel: what is in it, and whether it works in apps that are not this one."""

import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

import vllm_constructs
from tests.apps.checkout import ROOT, objects, run, succeed
from tests.support import assert_valid

pytestmark = pytest.mark.slow

_APPS = ROOT / "tests" / "apps"
_NEWER_PLUS = ROOT / ".venv-plus-34" / "bin"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
REPOSITORY = "https://forge.example.com/a/b"
# What a wheel brings into an environment beside its package.
_INFO = {"LICENSE", "METADATA", "RECORD", "WHEEL", "entry_points.txt"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make wheel` builds it in the release workflow."""
    return _build(tmp_path_factory.mktemp("wheel"), REPOSITORY)


def _build(folder: Path, repository: str) -> Path:
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    succeed(*command, ROOT, cwd=folder, env={"PROJECT_REPOSITORY": repository}, may_talk=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The wheel's metadata."""
    return _read(wheel)


def _read(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def _app(name: str, folder: Path) -> Path:
    app = folder / name
    shutil.copytree(_APPS / name, app, ignore=shutil.ignore_patterns("__pycache__"))
    return app


def _render(app: Path, bin_folder: Path, **env: str) -> dict[str, dict[str, Any]]:
    """Run an app with an environment of its own, every warning an error, and read its objects."""
    path = f"{bin_folder}:{_SYSTEM_PATH}"
    succeed(bin_folder / "python", "-W", "error", "main.py", cwd=app, env={"PATH": path, **env})
    return objects(app / "dist")


def _engine(found: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """What an engine's pod refers to by name."""
    pod = found[f"chatbot/Deployment/{name}"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return {
        "keys": {
            one["name"]: (source["name"], source["key"])
            for one in container["env"]
            if (source := one.get("valueFrom", {}).get("secretKeyRef"))
        },
        "claims": [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["volumes"]
            if "persistentVolumeClaim" in volume
        ],
        "account": pod["serviceAccountName"],
        "pull": [one["name"] for one in pod.get("imagePullSecrets", [])],
    }


def _egress(found: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """Labels of the pods that the client is allowed to reach, by policies of cdk8s-plus."""
    return [
        peer["podSelector"]["matchLabels"]
        for key, one in found.items()
        if one["kind"] == "NetworkPolicy" and key != "chatbot/NetworkPolicy/qwen-7b"
        for rule in one["spec"].get("egress", [])
        for peer in rule.get("to", [])
        if "podSelector" in peer
    ]


_SELECTOR = {"app.kubernetes.io/name": "vllm", "app.kubernetes.io/instance": "qwen-7b"}
_HANDED_IN = {
    "keys": {"HF_TOKEN": ("keys", "token"), "VLLM_API_KEY": ("keys", "api-key")},
    "claims": ["weights"],
    "account": "engine",
    "pull": ["registry"],
}


def test_contents(wheel: Path) -> None:
    """The wheel holds the package as it is here, its metadata, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    package = {name for name in names if name.parts[0] == "vllm_constructs"}
    source = ROOT / "vllm_constructs"
    assert {
        path.relative_to(ROOT)
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } == package
    assert _INFO == {name.name for name in set(names) - package}
    assert {f"vllm_constructs-{vllm_constructs.__version__}.dist-info"} == {
        name.parts[0] for name in set(names) - package
    }


def test_data(wheel: Path) -> None:
    """The catalogs and the marker that tells type checkers to look are in it."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    catalogs = {f"vllm_constructs/data/{path.name}" for path in _data_files()}
    assert len(catalogs) >= 2
    assert {*catalogs, "vllm_constructs/py.typed"} <= names


def _data_files() -> list[Path]:
    return sorted((Path(vllm_constructs.__file__).parent / "data").glob("*.json"))


def test_urls(metadata: Message, tmp_path: Path) -> None:
    """Project URLs are those of the repository that the release workflow tells."""
    assert [
        f"Changelog, {REPOSITORY}/blob/HEAD/CHANGELOG.md",
        f"Documentation, {REPOSITORY}/blob/HEAD/docs/index.md",
        f"Issues, {REPOSITORY}/issues",
        f"Source, {REPOSITORY}",
    ] == metadata.get_all("Project-URL")
    elsewhere = _build(tmp_path, "")
    assert _read(elsewhere).get_all("Project-URL") is None


def test_requirements(metadata: Message) -> None:
    """It needs cdk8s, what reads YAML and PromQL, and what prints; a Node and tools are extras."""
    wanted = metadata.get_all("Requires-Dist", [])
    always = sorted(
        re.split(r"[<>=!~ ]", one)[0].lower() for one in wanted if "extra ==" not in one
    )
    of_cdk8s = ["cdk8s", "cdk8s-plus-27", "constructs"]
    assert [*of_cdk8s, "promql-parser", "pyyaml", "rich", "rich-click"] == always
    assert ["dev", "node", "schemas"] == sorted(metadata.get_all("Provides-Extra", []))
    assert ">=3.11" == metadata["Requires-Python"]
    assert ("vllm-constructs", "Apache-2.0") == (metadata["Name"], metadata["License-Expression"])


@pytest.fixture
def fresh(wheel: Path, tmp_path: Path) -> Iterator[Path]:
    """An environment with the wheel and the locked packages that it needs, and no other."""
    environment = tmp_path / "environment"
    succeed(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    pip = (environment / "bin" / "python", "-m", "pip")
    install = (*pip, "install", "--quiet", "--no-input")
    locked = ROOT / "requirements" / "synth.txt"
    succeed(*install, "--no-deps", "--require-hashes", "-r", locked, cwd=tmp_path, may_talk=True)
    succeed(*install, "--no-deps", "--no-index", wheel, cwd=tmp_path, may_talk=True)
    succeed(*pip, "check", cwd=tmp_path, may_talk=True)
    yield environment
    # pytest keeps the folders of some runs, and this is a large one.
    shutil.rmtree(environment)


def test_fresh_environment(fresh: Path, tmp_path: Path) -> None:
    """Installed alone, it works beside an app's own `imports` and cdk8s-plus objects."""
    app = _app("beside_imports", tmp_path)
    shutil.copytree(ROOT / "imports", app / "imports")
    where = "import vllm_constructs; print(vllm_constructs.__file__)"
    shown = succeed(fresh / "bin" / "python", "-c", where, cwd=app)
    assert Path(shown.strip()).is_relative_to(fresh)

    found = _render(app, fresh / "bin")
    assert {"secretName": "internal-ca"} == found["ClusterIssuer/internal"]["spec"]["ca"]
    assert _HANDED_IN == _engine(found, "qwen-7b")
    deployment = found["chatbot/Deployment/qwen-7b"]["spec"]
    assert "replicas" not in deployment
    scaler = found["chatbot/HorizontalPodAutoscaler/scaler"]["spec"]
    assert {"apiVersion": "apps/v1", "kind": "Deployment", "name": "qwen-7b"} == scaler[
        "scaleTargetRef"
    ]
    assert _SELECTOR == deployment["selector"]["matchLabels"]
    assert _SELECTOR == found["chatbot/Service/also"]["spec"]["selector"]
    (rule,) = found["chatbot/Ingress/front"]["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert {"name": "qwen-7b", "port": {"number": 8000}} == path["backend"]["service"]
    assert [_SELECTOR] == _egress(found)
    assert_valid(*found.values())


def test_newer_plus(wheel: Path, tmp_path: Path) -> None:
    """Objects of cdk8s-plus-34 go into ours by name, and the model goes into theirs."""
    assert _NEWER_PLUS.is_dir(), "its environment is missing: make .venv-plus-34/.ready"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    app = _app("beside_plus_34", tmp_path)
    found = _render(app, _NEWER_PLUS, PYTHONPATH=os.fspath(tmp_path / "site"))
    assert _HANDED_IN == _engine(found, "qwen-7b")
    assert {
        "keys": {"HF_TOKEN": ("hf-token", "hf")},
        "claims": ["shared-weights"],
        "account": "other-engine",
        "pull": [],
    } == _engine(found, "qwen-1b")
    assert "replicas" not in found["chatbot/Deployment/qwen-7b"]["spec"]
    scaler = found["chatbot/HorizontalPodAutoscaler/scaler"]["spec"]
    assert "qwen-7b" == scaler["scaleTargetRef"]["name"]
    assert _SELECTOR == found["chatbot/Service/also"]["spec"]["selector"]
    assert [_SELECTOR] == _egress(found)
    assert_valid(*found.values())


def test_newer_plus_claim(wheel: Path, tmp_path: Path) -> None:
    """A claim of cdk8s-plus-34 tells its access mode, so one of a single node is refused."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    app = _app("beside_plus_34", tmp_path)
    main = app / "main.py"
    source = main.read_text(encoding="utf-8")
    main.write_text(source.replace("READ_WRITE_MANY", "READ_WRITE_ONCE"), encoding="utf-8")
    env = {"PATH": f"{_NEWER_PLUS}:{_SYSTEM_PATH}", "PYTHONPATH": os.fspath(tmp_path / "site")}
    done = run(_NEWER_PLUS / "python", "main.py", cwd=app, env=env)
    assert 1 == done.returncode
    (sentence,) = (line for line in done.stderr.splitlines() if "VllmConstructsError: " in line)
    assert "'weights'" in sentence
    assert "ReadWriteOnce" in sentence
    assert not (app / "dist").exists()


def _nodes() -> list[str]:
    """Each Node.js that this machine has: the environment's, and one of the system."""
    found = [shutil.which("node", path=path) for path in (str(ROOT / ".venv/bin"), _SYSTEM_PATH)]
    return [node for node in found if node]


@pytest.mark.parametrize("cache", ["enabled", "disabled"])
@pytest.mark.parametrize("node", _nodes())
def test_node(node: str, cache: str, wheel: Path, tmp_path: Path) -> None:
    """Any Node.js renders the same objects, with jsii's package cache and without, and no npm."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    app = tmp_path / "app"
    app.mkdir()
    shutil.copy(ROOT / "main.py", app)
    shutil.copytree(ROOT / "imports", app / "imports")
    env = {
        "PATH": "",
        "PYTHONPATH": os.fspath(tmp_path / "site"),
        "JSII_NODE": node,
        "JSII_RUNTIME_PACKAGE_CACHE": cache,
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": os.fspath(tmp_path / "cache"),
    }
    # jsii warns about a Node.js that is no longer maintained.
    succeed(sys.executable, "main.py", cwd=app, env=env, may_talk=True)
    assert objects(ROOT / "dist") == objects(app / "dist")
    assert (tmp_path / "cache").exists() == (cache == "enabled")
