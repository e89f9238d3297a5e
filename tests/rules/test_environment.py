"""Rules of variables: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.edits import Removed
from vllm_constructs.reading.settings import Settings

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, pod_spec

CONTAINER = ("spec", "template", "spec", "containers", 0)
ENV = (*CONTAINER, "env")
SECRET = {"secretKeyRef": {"name": "keys", "key": "key"}}
OWN = "example.com/llm:1"
SERVE = ["vllm", "serve"]


def variable(name: object, value: object = "1", *args: Any, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with a variable."""
    return with_env([{"name": name, "value": value}], *args, **container)


def with_env(env: object, *args: Any, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with variables."""
    return deployment(pod_spec(*args or ("a/b",), container={"env": env, **container}))


def referring(name: str, source: dict[str, Any], **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with a variable whose value is elsewhere."""
    return with_env([{"name": name, "valueFrom": source}], **container)


def script(text: str, **container: Any) -> dict[str, Any]:
    """A Deployment whose engine a shell starts."""
    return deployment(pod_spec(text, container={"command": ["bash", "-c"], **container}))


def config_map(**data: object) -> dict[str, Any]:
    """A ConfigMap of variables."""
    metadata = {"name": "variables", "namespace": "llm"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


FROM_MAP = {"envFrom": [{"configMapRef": {"name": "variables"}}]}


class TestVariables:
    """E09."""

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("VLLM_ATTENTION_BACKEND", "use the flag --attention-backend"),
            ("VLLM_USE_V1", "V1 is the only engine"),
            ("VLLM_LOGGING_LEVL", "did you mean 'VLLM_LOGGING_LEVEL'?"),
            ("VLLM_API_KEYS", "did you mean 'VLLM_API_KEY'?"),
        ],
    )
    def test_name(self, name: str, words: str) -> None:
        """A name that is gone, or misspelt."""
        (finding,) = found([variable(name)], "E09")

        assert (finding.level, finding.path) == ("error", (*ENV, 0, "name"))
        assert words in finding.problem.sentence()
        assert ["E09"] == ids([referring(name, SECRET)], "E09")

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("VLLM_USE_DEEP_GEMM", "true", "rejects after it has loaded the model"),
            ("VLLM_USE_DEEP_GEMM", "", "a Boolean, '1' or '0'"),
            ("VLLM_USE_DEEP_GEMM", None, "a Boolean, '1' or '0'"),
            ("VLLM_ENGINE_READY_TIMEOUT_S", "10m", "an integer"),
            ("VLLM_WORKER_MULTIPROC_METHOD", "thread", "expected one of"),
            ("VLLM_PORT", "tcp://10.0.0.1:8000", "an integer"),
        ],
    )
    def test_value(self, name: str, value: object, words: str) -> None:
        """A value that vLLM cannot read."""
        (finding,) = found([variable(name, value)], "E09")

        assert (finding.level, finding.path) == ("error", (*ENV, 0, "value"))
        assert words in finding.problem.sentence()

    @pytest.mark.parametrize(
        ("value", "right"),
        [(1, "1"), (0, "0"), (True, "1"), (False, "0"), (1.5, "1.5"), (["1"], None), ({}, None)],
    )
    def test_no_string(self, value: object, right: str | None) -> None:
        """The API server takes strings only."""
        (finding,) = found([variable("VLLM_USE_DEEP_GEMM", value)], "E09")

        assert finding.path == (*ENV, 0, "value")
        assert "no string" in finding.problem.sentence()
        edits = finding.fix.edits if finding.fix else ()
        assert ([] if right is None else [right]) == [edit.value for edit in edits]

    def test_fix(self) -> None:
        """A word for yes becomes 1."""
        for word, right in (("true", "1"), ("False", "0"), ("on", "1")):
            (finding,) = found([variable("VLLM_USE_DEEP_GEMM", word)], "E09")
            assert finding.fix is not None
            assert finding.fix.is_safe
            assert right == finding.fix.edits[0].value
        assert [None] == [
            one.fix for one in found([variable("VLLM_USE_DEEP_GEMM", "maybe")], "E09")
        ]

    def test_config_map(self) -> None:
        """What is in a ConfigMap is found there, once for all engines."""
        engines = [
            deployment(pod_spec(container=FROM_MAP)),
            deployment(pod_spec(container=FROM_MAP)),
        ]
        bad = config_map(VLLM_USE_DEEP_GEMM="true", VLLM_USE_V1="1", OTHER="true")
        findings = found([*engines, bad], "E09")
        paths = [("data", "VLLM_USE_DEEP_GEMM"), ("data", "VLLM_USE_V1")]
        assert paths == [one.path for one in findings]
        assert {"ConfigMap"} == {one.manifest.kind for one in findings}

        prefixed = {"envFrom": [{"prefix": "VLLM_", **FROM_MAP["envFrom"][0]}]}
        manifests = [deployment(pod_spec(container=prefixed)), config_map(USE_DEEP_GEMM="yes")]
        assert [("data", "USE_DEEP_GEMM")] == [one.path for one in found(manifests, "E09")]
        # A variable of the container replaces it.
        own = variable("VLLM_USE_DEEP_GEMM", "1", **FROM_MAP)
        assert [] == ids([own, config_map(VLLM_USE_DEEP_GEMM="true")], "E09")
        key = {"configMapKeyRef": {"name": "variables", "key": "gemm"}}
        (finding,) = found([referring("VLLM_USE_DEEP_GEMM", key), config_map(gemm="true")], "E09")
        assert finding.path == (*ENV, 0, "valueFrom")

    @pytest.mark.parametrize(
        "text",
        [
            "VLLM_USE_DEEP_GEMM=true vllm serve a/b",
            "export VLLM_USE_DEEP_GEMM=true\nexec vllm serve a/b",
            "export VLLM_USE_DEEP_GEMM='true' && vllm serve a/b",
            "env VLLM_USE_V1=1 vllm serve a/b",
        ],
    )
    def test_script(self, text: str) -> None:
        """What a script sets counts as well."""
        (finding,) = found([script(text)], "E09")

        assert finding.path == (*CONTAINER, "args", 0)
        assert finding.fix is None

    @pytest.mark.parametrize(
        "manifest",
        [
            variable("VLLM_LOGGING_LEVEL", "debug"),
            variable("VLLM_USE_DEEP_GEMM", "0"),
            variable("VLLM_USE_DEEP_GEMM", "$(OTHER)"),
            variable("VLLM_USE_DEEP_GEMM", "${GEMM}"),
            variable("VLLM_PORT", ""),
            referring("VLLM_API_KEY", SECRET),
            referring("VLLM_HOST_IP", {"fieldRef": {"fieldPath": "status.podIP"}}),
            referring("VLLM_USE_DEEP_GEMM", {"configMapKeyRef": {"name": "elsewhere", "key": "a"}}),
            variable("HF_HUB_OFFLINE", "true"),
            variable("USE_V1", "true"),
            variable(None, "1"),
            # Variables that the words use are the user's own.
            variable("VLLM_MODEL", "a/b", "$(VLLM_MODEL)"),
            variable("VLLM_LOG_LEVEL", "info", "a/b", "--uvicorn-log-level=$(VLLM_LOG_LEVEL)"),
            script("vllm serve $VLLM_MODEL", env=[{"name": "VLLM_MODEL", "value": "a/b"}]),
            with_env(
                [
                    {"name": "VLLM_NAME", "value": "qwen"},
                    {"name": "CACHE", "value": "/cache/$(VLLM_NAME)"},
                ]
            ),
            # Releases and plugins that have others.
            variable("VLLM_USE_V1", image="vllm/vllm-openai:v0.8.5"),
            variable("VLLM_USE_TRITON_FLASH_ATTN", "0", image="vllm/vllm-openai:v0.8.5"),
            variable("VLLM_ATTENTION_BACKEND", "FLASHINFER", image="vllm/vllm-openai:v0.12.0"),
            variable("VLLM_A_NEW_ONE", image="vllm/vllm-openai:v0.40.0"),
            variable("VLLM_USE_V1", image=OWN, command=SERVE),
            variable(
                "VLLM_ASCEND_ENABLE_NZ", image="quay.io/ascend/vllm-ascend:v0.11.0", command=SERVE
            ),
            variable("VLLM_TPU_USE_RPA", image="vllm/vllm-tpu:v0.32.0"),
            deployment({"containers": [{"name": "router", "env": [{"name": "VLLM_USE_V1"}]}]}),
            script(
                "VLLM_USE_DEEP_GEMM=true vllm serve a/b & vllm serve c/d",
            ),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """Variables that vLLM reads, that another program reads, or whose value is not here."""
        assert [] == sentences([manifest], "E09")

    def test_levels(self) -> None:
        """What has no effect is a warning; so is what only the release of the image can tell."""
        own = variable("VLLM_TEAM", "search")
        assert ["warning"] == [one.level for one in found([own], "E09")]
        strict = variable("VLLM_TEAM", "search", "a/b", "--fail-on-environ-validation")
        assert ["error"] == [one.level for one in found([strict], "E09")]
        for image in ("vllm/vllm-openai:latest", "vllm/vllm-openai"):
            latest = variable("VLLM_USE_V1", image=image)
            assert ["warning"] == [one.level for one in found([latest], "E09", settings=Settings())]
        near = variable("VLLM_LOGGING_LEVL", image=OWN, command=SERVE)
        assert ["warning"] == [one.level for one in found([near], "E09")]
        value = variable("VLLM_USE_DEEP_GEMM", "true", image=OWN, command=SERVE)
        assert ["warning"] == [one.level for one in found([value], "E09")]

    def test_operators(self) -> None:
        """An operator may read a variable; what vLLM reads is judged all the same."""
        kind = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}

        def served(name: str, value: str) -> list[dict[str, Any]]:
            container = {"env": [{"name": name, "value": value}]}
            spec = {"predictor": pod_spec(container=container)}
            return [{**kind, "metadata": {"name": "qwen"}, "spec": spec}]

        assert [] == ids(served("VLLM_ADDITIONAL_ARGS", "--seed=1"), "E09")
        assert ["E09"] == ids(served("VLLM_USE_DEEP_GEMM", "true"), "E09")

    def test_odd(self) -> None:
        """Fields of any type are read without an error."""
        for env in (
            None,
            "a",
            3,
            [None, 3, "a", {}, {"name": ["a"]}, {"name": "VLLM_X", "valueFrom": 3}],
        ):
            found([with_env(env, envFrom=env)], "E09", "G07", "H06")


class TestVisibleDevices:
    """G07."""

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("CUDA_VISIBLE_DEVICES", "0", "chooses GPUs"),
            ("CUDA_VISIBLE_DEVICES", "0,1", "chooses GPUs"),
            ("NVIDIA_VISIBLE_DEVICES", "all", "makes all GPUs of the node visible"),
            ("NVIDIA_VISIBLE_DEVICES", "GPU-1234", "chooses GPUs"),
            ("ROCR_VISIBLE_DEVICES", "0", "chooses GPUs"),
        ],
    )
    def test_bad(self, name: str, value: str, words: str) -> None:
        """GPUs that something else than the device plugin chooses."""
        (finding,) = found([variable(name, value)], "G07")

        assert (finding.level, finding.path) == ("warning", (*ENV, 0, "name"))
        assert words in finding.problem.sentence()
        assert finding.fix is not None
        assert [((*ENV, 0), Removed)] == [(one.path, one.value) for one in finding.fix.edits]
        assert not finding.fix.is_safe

    def test_forms(self) -> None:
        """From a ConfigMap, an annotation of the pod, or in a script."""
        engine = deployment(pod_spec(container=FROM_MAP))
        (finding,) = found([engine, config_map(CUDA_VISIBLE_DEVICES="0")], "G07")
        assert (finding.manifest.kind, finding.path) == (
            "ConfigMap",
            ("data", "CUDA_VISIBLE_DEVICES"),
        )
        field = {"fieldRef": {"fieldPath": "metadata.annotations['gpus']"}}
        assert ["G07"] == ids([referring("NVIDIA_VISIBLE_DEVICES", field)], "G07")
        assert ["G07"] == ids([script("CUDA_VISIBLE_DEVICES=0 vllm serve a/b")], "G07")
        assert ["G07"] == ids([script('export CUDA_VISIBLE_DEVICES="0,1"; vllm serve a/b')], "G07")

    @pytest.mark.parametrize(
        "manifest",
        [
            variable("CUDA_VISIBLE_DEVICES", ""),
            variable("CUDA_VISIBLE_DEVICES", "-1"),
            variable("NVIDIA_VISIBLE_DEVICES", "void"),
            variable("NVIDIA_VISIBLE_DEVICES", "none"),
            variable("NVIDIA_DRIVER_CAPABILITIES", "all"),
            variable("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
            script("CUDA_VISIBLE_DEVICES=0 vllm serve a/b & CUDA_VISIBLE_DEVICES=1 vllm serve c/d"),
            script("echo $CUDA_VISIBLE_DEVICES && vllm serve a/b"),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """No devices at all, or several engines in one container, which share them."""
        assert [] == sentences([manifest], "G07")


class TestDevelopmentMode:
    """H06."""

    @pytest.mark.parametrize("value", ["1", " 1", "2", 1])
    def test_bad(self, value: object) -> None:
        """The development mode, as vLLM reads it."""
        (finding,) = found([variable("VLLM_SERVER_DEV_MODE", value)], "H06")

        assert (finding.level, finding.path) == ("error", (*ENV, 0, "value"))
        assert "without the API key" in finding.problem.sentence()

    def test_forms(self) -> None:
        """From a ConfigMap, in a script, and with an image of one's own."""
        engine = deployment(pod_spec(container=FROM_MAP))
        (finding,) = found([engine, config_map(VLLM_SERVER_DEV_MODE="1")], "H06")
        assert (finding.manifest.kind, finding.path) == (
            "ConfigMap",
            ("data", "VLLM_SERVER_DEV_MODE"),
        )
        assert ["H06"] == ids([script("VLLM_SERVER_DEV_MODE=1 vllm serve a/b")], "H06")
        assert ["H06"] == ids([variable("VLLM_SERVER_DEV_MODE", image=OWN, command=SERVE)], "H06")

    @pytest.mark.parametrize("value", ["0", "", "true", "$(MODE)", None, False])
    def test_good(self, value: object) -> None:
        """Off, not readable (which another rule tells), or not known."""
        assert [] == sentences([variable("VLLM_SERVER_DEV_MODE", value)], "H06")
        assert [] == ids([referring("VLLM_SERVER_DEV_MODE", SECRET)], "H06")
        assert [] == ids([variable("DEV_MODE", "1")], "H06")


def test_odd_values() -> None:
    """No value of any type raises."""
    env = [{"name": "VLLM_USE_V1", "value": "1"}, {"name": "VLLM_PORT", "valueFrom": SECRET}]
    engine = with_env(env, command=["vllm", "serve"], **FROM_MAP)
    check_odd_values([engine, config_map(VLLM_SERVER_DEV_MODE="1")], "E09", "G07", "H06")
