"""Downloads: the Job that fills a cache, and what its name tells."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, pod_security_problems
from vllm_constructs import (
    ExistingClaim,
    HuggingFaceMirror,
    HuggingFaceToken,
    PodSecurity,
    VllmConstructsWarning,
)
from vllm_constructs.workloads import model_download
from vllm_constructs.workloads.model_download import Download

COMMITS = st.text("0123456789abcdef", min_size=40, max_size=40)
PATTERNS = st.lists(strategies.one_line(), max_size=3, unique=True)


def download(**fields: Any) -> Download:
    """Return a download with these fields."""
    own: dict[str, Any] = {
        "model": "Qwen/Qwen2.5-7B-Instruct",
        "revision": "a" * 40,
        "cache": ExistingClaim("weights"),
        "hf_token": None,
        "mirror": None,
        "include": (),
        "exclude": (),
        "image": "vllm/vllm-openai:v0.33.0",
        "memory": ("2Gi", "8Gi"),
        "service_account": None,
        "image_pull_secrets": (),
        "env": {},
        "allow_to": (),
        "security": PodSecurity(),
    }
    return Download(**{**own, **fields})


def job(name: str = "qwen", **fields: Any) -> strategies.Manifest:
    """Return the Job of a download, which is valid and as safe as a model."""
    found = strategies.in_namespace(model_download.job(name, download(**fields)))
    assert_valid(found)
    assert [] == pod_security_problems(found["spec"]["template"]["spec"])
    return found


def container(**fields: Any) -> strategies.Manifest:
    """Return the container of a download's Job."""
    (found,) = job(**fields)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def reasons(**fields: Any) -> str:
    """Return why a download with these fields is refused."""
    return strategies.refusal(lambda: download(**fields))


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(strategies.names(), st.text(max_size=80)),
    st.lists(st.tuples(COMMITS, PATTERNS, PATTERNS), min_size=2, max_size=2),
)
def test_name(name: str, both: list[Any]) -> None:
    """The name is legal, and differs exactly when what is downloaded differs."""
    found = [
        download(revision=revision, include=include, exclude=exclude)
        for revision, include, exclude in both
    ]
    names = [model_download.job(name, one)["metadata"]["name"] for one in found]
    markers = [one.weights.marker for one in found]

    for one in found:
        assert_valid(strategies.in_namespace(model_download.job(name, one)), releases=["1.37"])
    is_same = both[0] == both[1]
    assert is_same is (names[0] == names[1])
    is_same = [(a, sorted(b), sorted(c)) for a, b, c in both]
    assert (is_same[0] == is_same[1]) is (markers[0] == markers[1])


@pytest.mark.parametrize(
    "fields",
    [
        {"memory": "16Gi"},
        {"image": "vllm/vllm-openai:v0.32.0"},
        {"hf_token": HuggingFaceToken("hf")},
        {"mirror": HuggingFaceMirror("https://hf-mirror.com")},
        {"security": PodSecurity(user=1000, group=1000)},
        {"service_account": "x"},
    ],
)
def test_immutable(fields: dict[str, Any]) -> None:
    """A Job cannot be changed, so that another pod is another Job, of the same files."""
    assert job()["metadata"]["name"] != job(**fields)["metadata"]["name"]
    assert download().weights.marker == download(**fields).weights.marker
    marked = model_download.job("qwen", download(), [{"team": "a"}, None])
    assert marked["metadata"]["name"] != job()["metadata"]["name"]


def test_container() -> None:
    """The Hub's own program downloads the commit into the cache."""
    found = container(include=["*.safetensors", "*.json"], exclude=["original/*"])
    assert [
        "Qwen/Qwen2.5-7B-Instruct",
        f"--revision={'a' * 40}",
        "--include=*.safetensors",
        "--include=*.json",
        "--exclude=original/*",
    ] == found["args"]
    env = {one["name"]: one["value"] for one in found["env"]}
    assert "/model-cache" == env["HF_HOME"]
    assert env["MARKER"].startswith("/model-cache/.downloads/")
    assert {"memory": "8Gi"} == found["resources"]["limits"]
    assert {"/model-cache", "/tmp"} == {one["mountPath"] for one in found["volumeMounts"]}  # noqa: S108 - a path in the container
    assert not any(one.get("readOnly") for one in found["volumeMounts"])


def test_options() -> None:
    """Token, mirror, folder, account and user are those of the pod."""
    spec = job(
        hf_token=HuggingFaceToken("hf", "key"),
        mirror=HuggingFaceMirror("https://hf-mirror.com"),
        cache=ExistingClaim("weights", sub_path="hub"),
        service_account="downloads",
        security=PodSecurity(user=1000, group=1000, read_only_root=True),
    )["spec"]["template"]["spec"]
    (found,) = spec["containers"]
    env = {one["name"]: one.get("value") or one["valueFrom"] for one in found["env"]}
    assert {"secretKeyRef": {"name": "hf", "key": "key"}} == env["HF_TOKEN"]
    assert ("https://hf-mirror.com", "1") == (env["HF_ENDPOINT"], env["HF_HUB_DISABLE_XET"])
    assert "hub" in [one.get("subPath") for one in found["volumeMounts"]]
    assert ("downloads", 1000) == (
        spec["serviceAccountName"],
        spec["securityContext"]["runAsUser"],
    )
    assert found["securityContext"]["readOnlyRootFilesystem"]


class TestScript:
    """The script, with a program `hf` of the test."""

    @staticmethod
    def run(folder: Path, code: int) -> tuple[int, list[str], bool]:
        """Return the exit code, what `hf` was told, and whether the marker is there."""
        found = container(include=["* a$b.json"])
        programs = folder / "bin"
        programs.mkdir()
        program = programs / "hf"
        program.write_text(
            f'#!/bin/sh\nfor one; do echo "$one"; done >{folder}/told\nexit {code}\n'
        )
        program.chmod(0o755)
        marker = folder / "cache" / ".downloads" / "x"
        done = subprocess.run(
            [*found["command"], *found["args"]],
            check=False,
            env={"PATH": f"{programs}{os.pathsep}/usr/bin:/bin", "MARKER": str(marker)},
            timeout=10,
        )
        return done.returncode, (folder / "told").read_text().splitlines(), marker.exists()

    def test_success(self, tmp_path: Path) -> None:
        """After the download the marker is there, and the words are kept as they are."""
        assert (
            0,
            [
                "download",
                "Qwen/Qwen2.5-7B-Instruct",
                f"--revision={'a' * 40}",
                "--include=* a$b.json",
            ],
            True,
        ) == self.run(tmp_path, 0)

    def test_failure(self, tmp_path: Path) -> None:
        """A download that fails leaves no marker, and fails the pod."""
        code, _, is_marked = self.run(tmp_path, 3)
        assert (3, False) == (code, is_marked)


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        (None, [{"ports": [{"port": 443, "protocol": "TCP"}]}]),
        (
            HuggingFaceMirror("http://mirror.mirrors.svc:8080"),
            [
                {
                    "to": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": "mirrors"}
                            }
                        }
                    ],
                    "ports": [{"port": 8080, "protocol": "TCP"}],
                }
            ],
        ),
        (HuggingFaceMirror("http://localhost:8080"), []),
    ],
)
def test_network_policy(mirror: Any, expected: list[Any]) -> None:
    """The pod is reached by nobody, and reaches DNS and the Hub or its mirror."""
    one = download(mirror=mirror)
    name = model_download.job("qwen", one)["metadata"]["name"]
    found = strategies.in_namespace(model_download.network_policy(name, one))
    template = model_download.job("qwen", one)["spec"]["template"]

    assert_valid(found)
    assert template["metadata"]["labels"] == found["spec"]["podSelector"]["matchLabels"]
    assert "ingress" not in found["spec"]
    assert expected == [
        rule for rule in found["spec"]["egress"] if rule["ports"][0]["port"] not in (53, 5353)
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": "gpt2"}, "ModelDownload.model is 'gpt2'; expected a model of the Hugging Face"),
        ({"model": "/model-cache/x"}, "ModelDownload.model is '/model-cache/x'; expected a model"),
        ({"model": "s3://a/b"}, "ModelDownload.model is 's3://a/b'; expected a model"),
        ({"model": None}, "ModelDownload.model is None; expected a model"),
        ({"model": "-a/b"}, "ModelDownload.model is '-a/b'; expected a model"),
        (
            {"revision": "main"},
            (
                "ModelDownload.revision is 'main', whose commit can change; give the commit, with "
                "40 hexadecimal digits."
            ),
        ),
        ({"revision": "a" * 39}, "whose commit can change"),
        ({"revision": None}, "ModelDownload.revision is None; expected a commit"),
        ({"revision": "a b"}, "ModelDownload.revision is 'a b'; expected a commit"),
        (
            {"cache": ExistingClaim("w", access="ReadOnlyMany")},
            "ModelDownload.cache is ReadOnlyMany, so pods cannot write to it; use storage",
        ),
        (
            {"cache": ExistingClaim("w", access="ReadWriteOnce")},
            (
                "ModelDownload.cache is ReadWriteOnce, so the Job cannot mount it while a pod on "
                "another node waits with it mounted; use storage with access='ReadWriteMany', or "
                "download in a container of init_containers."
            ),
        ),
        ({"include": "*.json"}, "ModelDownload.include is '*.json'; expected a list of strings"),
        ({"exclude": [7]}, "ModelDownload.exclude is 7; expected a list of strings"),
        ({"image": "vllm"}, "ModelDownload.image is 'vllm'; expected an image with a tag or"),
        ({"image": None}, "ModelDownload.image is None; expected an image with a tag or"),
        ({"memory": "8GB"}, "ModelDownload.memory is '8GB'; expected"),
        ({"memory": None}, "ModelDownload.memory is None; expected"),
        ({"hf_token": "hf_AbCdEfGhIj"}, "ModelDownload.hf_token is a str (not shown); expected"),
        ({"mirror": "https://x"}, "ModelDownload.mirror is 'https://x'; expected HuggingFaceM"),
        ({"security": 1000}, "ModelDownload.security is 1000; expected PodSecurity(...)"),
    ],
)
def test_refused(fields: dict[str, Any], sentence: str) -> None:
    """A wrong value is refused with what is allowed."""
    assert sentence in reasons(**fields)


def test_weights() -> None:
    """The pods get model, revision, claim and marker of the Job."""
    one = download()
    env = {item["name"]: item["value"] for item in container()["env"]}
    found = one.weights
    assert (one.model, one.revision, one.cache) == (found.model, found.revision, found.cache)
    assert f"/model-cache/{found.marker}" == env["MARKER"]
    assert replace(found, marker="x") != found


def test_gated() -> None:
    """A gated model without a token is warned about; a mirror may have other rules."""
    with pytest.warns(VllmConstructsWarning, match=r"ModelDownload.model is 'meta-llama/x', whi"):
        download(model="meta-llama/x")
    download(model="meta-llama/x", hf_token=HuggingFaceToken("hf"))
    download(model="meta-llama/x", mirror=HuggingFaceMirror("https://hf-mirror.com"))


def test_private_network() -> None:
    """A proxy, a registry and other addresses are said once, and the policy lets them out."""
    given: dict[str, Any] = {
        "env": {"HTTPS_PROXY": "http://proxy.net.svc:3128", "NO_PROXY": ".svc"},
        "image_pull_secrets": ["registry"],
        "allow_to": ["mirror.mirrors.svc:8080"],
    }
    pod = job(**given)["spec"]["template"]["spec"]
    assert [{"name": "registry"}] == pod["imagePullSecrets"]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy.net.svc:3128"} in pod["containers"][0][
        "env"
    ]

    policy = model_download.network_policy("qwen", download(**given))
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert {53, 5353, 3128, 8080} == ports


@pytest.mark.parametrize("name", ["HF_HOME", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HOME"])
def test_reserved(name: str) -> None:
    """Variables that are derived, or have an option, are refused."""
    assert reasons(env={name: "/elsewhere"}).startswith(f"ModelDownload.env[{name!r}] ")
