"""Rule of secrets in clear text: what is found, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.reading.spelling import as_fields

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, group, pod_spec

TOKEN = "hf_" + "aB3dE5gH7jK9mN1pQ3rS5tU7vW9xY1zA3b"
KEY = "sk-" + "Zx81Qw92Er73Ty64"


def engine(*args: str, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with these arguments and fields."""
    return deployment(pod_spec(*args, container=container))


def variable(name: str, value: object, **more: object) -> dict[str, Any]:
    """A Deployment of an engine with a variable."""
    return engine(env=[{"name": name, "value": value, **more}])


def config(**data: object) -> dict[str, Any]:
    """A ConfigMap; two underscores in a key are a dot."""
    named = {key.replace("__", "."): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": named}


class TestWords:
    """Command lines."""

    @pytest.mark.parametrize(
        ("manifest", "place"),
        [
            (engine("a/b", f"--api-key={KEY}"), ("args", 1)),
            (engine("a/b", "--api-key", "token-abc123"), ("args", 2)),
            (engine("a/b", "--api_key=abc123"), ("args", 1)),
            (engine("a/b", "--hf-token", TOKEN), ("args", 2)),
            (engine(command=["sh", "-c", f"vllm serve a/b --api-key {KEY}"]), ("command", 2)),
            (engine(command=["sh", "-c"], args=["vllm serve a/b --api-key abc123"]), ("args", 0)),
            (
                engine(command=["bash", "-c", f"export HF_TOKEN={TOKEN}\nexec vllm serve a/b"]),
                ("command", 2),
            ),
            (
                engine(command=["bash", "-c", "VLLM_API_KEY='abc123' vllm serve a/b"]),
                ("command", 2),
            ),
            (
                engine("a/b", '--kv-transfer-config={"secret_key": "abc"}'),
                ("args", 1),
            ),
            (engine("a/b", "--otlp-traces-endpoint=http://me:s3cr3t@otel:4317"), ("args", 1)),
        ],
    )
    def test_bad(self, manifest: dict[str, Any], place: tuple[Any, ...]) -> None:
        """A flag or a script with a key, a token or a password."""
        (one,) = found([manifest], "H01")
        assert place == one.path[-2:]
        assert "error" == one.level

    @pytest.mark.parametrize(
        "manifest",
        [
            engine("a/b", "--api-key", "$(VLLM_API_KEY)"),
            engine("a/b", "--api-key=$(VLLM_API_KEY)"),
            engine("a/b", "--api-key", "<your-api-key>"),
            engine("a/b", "--api-key=EMPTY"),
            engine("a/b", "--api-key", "REPLACE_ME"),
            engine("a/b", "--hf_overrides", '{"architectures": ["X"]}'),
            engine("a/b", "--served-model-name", "token"),
            engine("a/b", "--hf-token", "--max-model-len=4096"),
            engine(command=["sh", "-c", 'vllm serve a/b --api-key "$VLLM_API_KEY"']),
            engine(command=["sh", "-c", "vllm serve a/b --api-key ${VLLM_API_KEY:-dummy}"]),
            engine(command=["sh", "-c", 'vllm serve a/b --api-key "$(cat /etc/key)"']),
            engine(command=["sh", "-c", "date -u +%H:%M; vllm serve a/b"]),
            engine(command=["sh", "-c", "# uses Bearer authentication\nvllm serve a/b"]),
            engine(command=["python3", "-c", "HF_TOKEN=os.environ['HF_TOKEN']"]),
            engine(command=["sh", "-c", 'curl -H "Authorization: Bearer $TOKEN" localhost']),
            engine(image="vllm/vllm-openai:v1@sha256:" + "01" * 32),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """References, placeholders, and flags that only sound so."""
        assert [] == sentences([manifest], "H01")


class TestVariables:
    """Variables of containers."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("HF_TOKEN", TOKEN),
            ("HUGGING_FACE_HUB_TOKEN", "hf_example"),
            ("VLLM_API_KEY", "abc123"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG"),
            ("AWS_ACCESS_KEY_ID", "AKIA" + "ABCDEFGHIJ234567"),
            ("ANYTHING", TOKEN),
            ("HTTPS_PROXY", "http://me:s3cr3t@proxy:3128"),
            ("LMCACHE_REMOTE_URL", "redis://:s3cr3t@redis:6379"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer abc123def"),
            ("CONFIG", '{"api_key": "abc"}'),
        ],
    )
    def test_bad(self, name: str, value: str) -> None:
        """A secret by its name or by its shape, which no sentence shows."""
        (one,) = found([variable(name, value)], "H01")
        assert ("env", 0, "value") == one.path[-3:]
        sentence = one.problem.sentence(as_fields)
        assert name in sentence
        assert value not in sentence

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("HF_TOKEN", ""),
            ("HF_TOKEN", "<your-token>"),
            ("HF_TOKEN", "hf_xxxxxxxxxxxxxxxxxxxx"),
            ("HF_TOKEN", "hf_***"),
            ("HF_TOKEN", "your_token_here"),
            ("HF_TOKEN", "hf_your_token_here"),
            ("HF_TOKEN", "${HF_TOKEN}"),
            ("HF_TOKEN", "$HF_TOKEN"),
            ("HF_TOKEN", "{{ .Values.hfToken }}"),
            ("HF_TOKEN", "YOUR_HF_TOKEN"),
            ("VLLM_API_KEY", "$(KEY)"),
            ("VLLM_API_KEY", "changeme"),
            ("VLLM_API_KEY", "dummy"),
            ("OPENAI_API_KEY", "EMPTY"),
            ("OPENAI_API_KEY", "sk-no-key-required"),
            ("OPENAI_API_KEY", "not-needed"),
            ("OPENAI_API_KEY", "vllm"),
            ("OPENAI_API_KEY", "fake-key"),
            ("HF_TOKEN_PATH", "/secrets/token"),
            ("EOS_TOKEN", "</s>"),
            ("PAD_TOKEN", "[PAD]"),
            ("MAX_TOKEN", "4096"),
            ("PWD", "/workspace"),
            ("HF_SECRET", "hf-token-secret"),
            ("DATABASE_URL", "postgres://user:$(PASSWORD)@db/x"),
            ("DATABASE_URL", "postgres://user:<password>@db/x"),
            ("EXTRA_ARGS", "--hf_overrides {}"),
            ("NAME", 7),
        ],
    )
    def test_good(self, name: str, value: object) -> None:
        """What stands for another value, and what is none."""
        assert [] == sentences([variable(name, value)], "H01")

    def test_reference(self) -> None:
        """A variable from a Secret is how it should be; a value beside it is removed."""
        source = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        good = engine(env=[{"name": "HF_TOKEN", "valueFrom": source}])
        assert [] == sentences([good], "H01")
        (one,) = found([variable("HF_TOKEN", TOKEN, valueFrom=source)], "H01")
        assert one.fix is not None
        assert one.fix.is_safe
        assert one.path == one.fix.edits[0].path

    def test_name_of_secret(self) -> None:
        """The name of a Secret is none."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}
        manifest = variable("API_SECRET", "keys")
        assert [] == sentences([manifest, secret], "H01")
        assert ["H01"] == ids([variable("API_SECRET", "other")], "H01")

    def test_pods(self) -> None:
        """All containers of all pods, of any kind of workload."""
        env = [{"name": "VLLM_API_KEY", "value": KEY}]
        router = {"name": "router", "image": "lmcache/lmstack-router:v1", "env": env}
        fetch = {"name": "fetch", "image": "busybox:1", "env": env}
        assert ["H01"] == ids([deployment({"containers": [router]})], "H01")
        assert 2 == len(
            found([group(pod_spec(container={"env": env}), {"containers": [fetch]})], "H01")
        )
        spec = pod_spec(initContainers=[fetch])
        (one,) = found([deployment(spec)], "H01")
        assert ("initContainers", 0, "env", 0, "value") == one.path[-5:]

    def test_secret(self) -> None:
        """A Secret is where it belongs."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        assert [] == sentences([secret | {"stringData": {"token": TOKEN}}], "H01")

    def test_probe(self) -> None:
        """A header or command of a probe has one as well."""
        header = {"name": "Authorization", "value": f"Bearer {KEY}"}
        get = {"path": "/v1/models", "port": 8000, "httpHeaders": [header]}
        (one,) = found([engine(readinessProbe={"httpGet": get})], "H01")
        assert ("readinessProbe", "httpGet", "httpHeaders", 0, "value") == one.path[-5:]
        command = ["curl", "-u", "me:s3cr3t", "localhost:8000"]
        script = {"exec": {"command": ["sh", "-c", " ".join(command)]}}
        assert ["H01"] == ids([engine(lifecycle={"preStop": script})], "H01")
        header["value"] = "Bearer EMPTY"
        assert [] == ids([engine(readinessProbe={"httpGet": get})], "H01")


class TestConfigs:
    """ConfigMaps."""

    @pytest.mark.parametrize(
        "manifest",
        [
            config(HF_TOKEN=TOKEN),
            config(VLLM_API_KEY="abc123"),
            config(engine__yaml="model: a/b\napi-key: sk-example\n"),
            config(engine__yaml="model: a/b\napi_key: 'abc123'  # of the server\n"),
            config(settings__json='{\n  "api_key": "abc123",\n  "port": 1\n}'),
            config(app__ini="[db]\npassword = s3cr3t\n"),
            config(litellm__yaml="model_list:\n  - litellm_params:\n      api_key: sk-1234\n"),
            config(start__sh=f"#!/bin/sh\nexport HF_TOKEN={TOKEN}\n"),
            config(proxy__conf="proxy http://me:s3cr3t@proxy:3128;\n"),
        ],
    )
    def test_bad(self, manifest: dict[str, Any]) -> None:
        """A value, or a line of a file."""
        (one,) = found([manifest], "H01")
        (key,) = manifest["data"]
        assert ("data", key) == one.path
        assert "abc123" not in one.problem.sentence()
        assert TOKEN not in one.problem.sentence()

    @pytest.mark.parametrize(
        "manifest",
        [
            config(MODEL_NAME="a/b", MAX_TOKEN="4096"),
            config(litellm__yaml="litellm_params:\n  api_key: os.environ/OPENAI_API_KEY\n"),
            config(litellm__yaml="litellm_params:\n  api_key: none\n"),
            config(app__yaml="password: ${DB_PASSWORD}\napi_key: $API_KEY\n"),
            config(app__yaml='api_key: "{{ .Values.key }}"\npassword: <password>\n'),
            config(grafana__ini="admin_password = $__env{PASSWORD}\n"),
            config(run__py="api_key = args.api_key\nself.api_key = api_key\nhf_token=token\n"),
            config(run="self.api_key = api_key\napi_key: str\napi_key=get_key()\n"),
            config(nginx__conf='proxy_set_header Authorization "Bearer $token";\n'),
            config(README__md="Give the API key as Bearer token, or Basic authentication.\n"),
            config(engine__yaml="hf_overrides: {}\ntokenizer: a/b\n"),
            config(tokenizer__json='{\n "eos_token": "</s>",\n "hf_token": ""\n}'),
            config(number=7),
        ],
    )
    def test_good(self, manifest: dict[str, Any]) -> None:
        """References, programs, prose, and tokens of tokenizers."""
        assert [] == sentences([manifest], "H01")


class TestOthers:
    """Objects of operators."""

    @pytest.mark.parametrize(
        ("group", "kind", "spec"),
        [
            (
                "serving.kserve.io/v1beta1",
                "InferenceService",
                {"predictor": {"model": {"env": [{"name": "HF_TOKEN", "value": TOKEN}]}}},
            ),
            ("kubeai.org/v1", "Model", {"env": {"HF_TOKEN": TOKEN}}),
            ("kubeai.org/v1", "Model", {"args": [f"--api-key={KEY}"]}),
            (
                "ray.io/v1",
                "RayService",
                {"template": {"spec": {"containers": [{"args": ["--hf-token", TOKEN]}]}}},
            ),
            (
                "keda.sh/v1alpha1",
                "ScaledObject",
                {"triggers": [{"metadata": {"serverAddress": "http://me:s3cr3t@prometheus"}}]},
            ),
            (
                "keda.sh/v1alpha1",
                "ScaledObject",
                {"triggers": [{"metadata": {"customHeaders": "Authorization=Bearer abc123d"}}]},
            ),
        ],
    )
    def test_bad(self, group: str, kind: str, spec: dict[str, Any]) -> None:
        """Variables, arguments, addresses and headers in any object."""
        manifest = {"apiVersion": group, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
        (one,) = found([manifest], "H01")
        assert "spec" == one.path[0]

    def test_good(self) -> None:
        """References, and kinds whose fields have such names."""
        manifest = {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "x"},
            "spec": {"triggers": [{"metadata": {"serverAddress": "http://prometheus:9090"}}]},
        }
        schema = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "x"},
            "spec": {"env": [{"name": "HF_TOKEN", "value": TOKEN}]},
        }
        assert [] == sentences([manifest, schema], "H01")


def test_odd_values() -> None:
    """No value of any type raises."""
    header = {"name": "Authorization", "value": "Bearer abc123def"}
    manifest = engine(
        "--api-key=abc123",
        env=[{"name": "HF_TOKEN", "value": TOKEN, "valueFrom": {}}],
        readinessProbe={"httpGet": {"httpHeaders": [header]}},
        lifecycle={"preStop": {"exec": {"command": ["x"]}}},
    )
    other = {"apiVersion": "kubeai.org/v1", "kind": "Model", "spec": {"env": {"HF_TOKEN": TOKEN}}}
    check_odd_values([manifest, other, config(HF_TOKEN=TOKEN)], "H01")
