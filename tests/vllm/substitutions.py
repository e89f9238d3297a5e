"""What differs between a container in a cluster and here: all of it, and why.

Everything else of a container is as it is rendered: command, arguments, the file of `--config`,
environment, volumes. The models are in the volumes, under the names that the manifests give them.
Three things differ beside what is here: the user is root of a namespace of users and seccomp is not
applied (`tests/node` has both); vLLM forks its engine instead of spawning it, unless a test says
`fork=False`; and a process sleeps where vLLM would yield (both in `site/sitecustomize.py`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from . import bucket, environment
from .container import Container

OF_ALL = {
    "PATH": f"{environment.folder()}/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""PATH is the image's, and programs are read-only."""

VARIABLES = OF_ALL | {
    "HF_HUB_OFFLINE": "1",
    "PYTHONPATH": str(Path(__file__).parent / "site"),
    "VLLM_NO_USAGE_STATS": "1",
}
"""Those of vLLM: no network is there, and cores are few."""

FORK = {"TEST_FORK": "1"}
"""One process imports vLLM, not three: `site/sitecustomize.py`."""

OF_NODE = ("HF_HUB_OFFLINE", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VLLM_NO_USAGE_STATS")
"""Those of above that the device plugin of `tests/node` gives to containers."""

KV_CACHE_GIB = "1"
"""`VLLM_CPU_KVCACHE_SPACE`: otherwise vLLM takes a share of this machine's memory, or what a model
on CPUs has in its manifest, which may be more than this machine has."""

ADDED = ["--enforce-eager"]
"""Compiling a model takes a minute."""

ABSENT = {
    "LMCacheConnectorV1": "LMCache is not in the environment",
    "LMCacheMPConnector": "with LMCache, vLLM fails on CPUs, where it replaces kernels",
    "NixlConnector": "NIXL needs an RDMA network",
    "OffloadingConnector": "vLLM rejects it on CPUs: only supported on CUDA-alike and XPU GPUs",
}
"""KV connectors that are left out with their `--kv-transfer-config`."""

REMOTE = ("--load-format=runai_streamer", "--model-loader-extra-config=")
"""Left out where the endpoint of the object store is not on loopback: the model is a folder."""

MODELSCOPE = "VLLM_USE_MODELSCOPE"
"""Left out: the client of ModelScope is not in the environment, and nothing could be reached."""

REVISION = "0" * 40
STORED = "/model-cache/of-the-tests"


def substitute(container: Container) -> None:
    """Make a container one that can start here."""
    words = container.command
    if "serve" not in words:
        container.environment |= OF_ALL
        return
    program = words.index(next(word for word in words if word.split("/")[-1] == "vllm"))
    # Where the images of LMCache have it.
    words[program] = "vllm"
    has_bucket = container.environment.get("AWS_ENDPOINT_URL", "").startswith(bucket.ADDRESS)
    kept = []
    for word in words:
        connector = re.search(r'"kv_connector":"(\w+)"', word)
        if connector is not None and connector[1] in ABSENT:
            continue
        if word.startswith(REMOTE) and not has_bucket:
            continue
        kept.append(re.sub(r"^(--tensor-parallel-size)=\d+$", r"\1=1", word))
    model = kept.index("serve") + 1
    if kept[model].startswith("s3://") and not has_bucket:
        kept[model] = STORED
    container.command = [*kept, *ADDED]
    container.environment |= VARIABLES | {"VLLM_CPU_KVCACHE_SPACE": KV_CACHE_GIB}
    container.environment.pop(MODELSCOPE, None)
    _place_models(container, kept[model])


def _place_models(container: Container, model: str) -> None:
    words = container.command
    mistral = "--config-format=mistral" in words
    if not model.startswith("s3://"):
        _place(container, model, environment.models() / ("mistral" if mistral else "chat"))
    for word in _lora_modules(words):
        path = json.loads(word)["path"] if word.startswith("{") else word.partition("=")[2]
        _place(container, path, environment.models() / "adapter")


def _lora_modules(words: list[str]) -> list[str]:
    if "--lora-modules" not in words:
        return []
    after = words[words.index("--lora-modules") + 1 :]
    end = next((at for at, word in enumerate(after) if word.startswith("--")), len(after))
    return after[:end]


def _place(container: Container, name: str, source: Path) -> None:
    if name.startswith("/"):
        # What an init container has copied stays.
        if not any(container.path(name).glob("*")):
            container.place(name, source)
        return
    given = [word for word in container.command if word.startswith("--revision=")]
    revision = given[0].partition("=")[2] if given else REVISION
    folder = f"{_hub(container)}/models--{name.replace('/', '--')}"
    if container.path(f"{folder}/snapshots/{revision}").exists():
        # A download has put it there.
        return
    container.place(f"{folder}/snapshots/{revision}", source)
    refs = container.path(f"{folder}/refs")
    refs.mkdir(exist_ok=True)
    (refs / "main").write_text(revision, encoding="utf-8")


def _hub(container: Container) -> str:
    return f"{container.environment['HF_HOME']}/hub"
