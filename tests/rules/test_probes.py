"""Rules of probes: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, ids, sentences
from .pods import deployment, group, pod_spec

HTTP = {"httpGet": {"path": "/health", "port": 8000}}
STARTUP = {**HTTP, "periodSeconds": 10, "failureThreshold": 90}
LIVENESS = {**HTTP, "periodSeconds": 30, "timeoutSeconds": 5}


def probes(*args: str, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with these fields."""
    return deployment(pod_spec(*args, container=container))


class TestStartup:
    """P01."""

    @pytest.mark.parametrize(
        "container",
        [
            {"livenessProbe": LIVENESS},
            {"livenessProbe": {**LIVENESS, "initialDelaySeconds": 600}},
            {"livenessProbe": {"tcpSocket": {"port": 8000}}, "readinessProbe": HTTP},
            {"livenessProbe": {"exec": {"command": ["curl", "localhost:8000/health"]}}},
            {"livenessProbe": LIVENESS, "startupProbe": {}},
            {"startupProbe": {**HTTP, "failureThreshold": 3}},
            {"startupProbe": HTTP},
            {"startupProbe": {**STARTUP, "periodSeconds": 1, "failureThreshold": 30}},
            {"startupProbe": {**STARTUP, "successThreshold": 2}},
        ],
    )
    def test_bad(self, container: dict[str, Any]) -> None:
        """Liveness without a startup probe, or one that is too short."""
        assert ["P01"] == ids([probes(**container)], "P01")

    @pytest.mark.parametrize(
        "container",
        [
            {},
            {"readinessProbe": {**HTTP, "failureThreshold": 3}},
            {"livenessProbe": LIVENESS, "startupProbe": STARTUP},
            {"livenessProbe": LIVENESS, "startupProbe": {**HTTP, "initialDelaySeconds": 600}},
            {"livenessProbe": LIVENESS, "startupProbe": {**HTTP, "failureThreshold": 60}},
            {"livenessProbe": None},
            {"livenessProbe": {"periodSeconds": 10}},
        ],
    )
    def test_good(self, container: dict[str, Any]) -> None:
        """No liveness, or a startup probe that is long enough."""
        assert [] == sentences([probes(**container)], "P01")

    def test_weights(self) -> None:
        """Weights of hundreds of GB take more than the shortest start, whatever their storage."""
        short = {"startupProbe": {**HTTP, "failureThreshold": 12}}
        assert [] == ids([probes("Qwen/Qwen2.5-7B-Instruct", **short)], "P01")
        assert ["P01"] == ids([probes("deepseek-ai/DeepSeek-R1", **short)], "P01")
        long = {"startupProbe": {**HTTP, "failureThreshold": 60}}
        assert [] == ids([probes("deepseek-ai/DeepSeek-R1", **long)], "P01")
        dummy = probes("deepseek-ai/DeepSeek-R1", "--load-format=dummy", **short)
        assert [] == ids([dummy], "P01")

    def test_others(self) -> None:
        """Containers without vLLM, and templates that an operator completes, are not asked."""
        spec = pod_spec(container={"livenessProbe": LIVENESS})
        other = {"name": "web", "image": "nginx", "livenessProbe": LIVENESS}
        partial = {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "q"},
            "spec": {"predictor": spec},
        }
        assert [] == ids([deployment({"containers": [other]}), partial], "P01")
        assert ["P01"] == ids([group(None, spec)], "P01")

    def test_fix(self) -> None:
        """The probe that is shown asks what the liveness probe asks."""
        (one,) = found([probes(livenessProbe=LIVENESS)], "P01")
        assert one.fix is not None
        assert not one.fix.is_safe
        (edit,) = one.fix.edits
        assert "startupProbe" == edit.path[-1]
        assert HTTP["httpGet"] == edit.value["httpGet"]


class TestHairTrigger:
    """P02."""

    @pytest.mark.parametrize(
        ("probe", "field"),
        [
            ({**LIVENESS, "timeoutSeconds": 1}, "timeoutSeconds"),
            ({**HTTP, "periodSeconds": 30}, "timeoutSeconds"),
            ({**LIVENESS, "timeoutSeconds": 0}, "timeoutSeconds"),
            ({**LIVENESS, "timeoutSeconds": -1}, "timeoutSeconds"),
            ({**LIVENESS, "periodSeconds": 5}, "failureThreshold"),
            ({**LIVENESS, "failureThreshold": 0, "periodSeconds": 9}, "failureThreshold"),
            (
                {**LIVENESS, "periodSeconds": 5, "initialDelaySeconds": 600},
                "failureThreshold",
            ),
        ],
    )
    def test_bad(self, probe: dict[str, Any], field: str) -> None:
        """A short window or a short timeout."""
        (one,) = found([probes(livenessProbe=probe)], "P02")
        assert ("livenessProbe", field) == one.path[-2:]

    @pytest.mark.parametrize(
        "container",
        [
            {"livenessProbe": LIVENESS},
            {"livenessProbe": {**LIVENESS, "periodSeconds": 10}},
            {"readinessProbe": {**HTTP, "timeoutSeconds": 1, "periodSeconds": 1}},
            {"startupProbe": {**HTTP, "timeoutSeconds": 1}},
            {},
        ],
    )
    def test_good(self, container: dict[str, Any]) -> None:
        """30 seconds are enough, and other probes restart nothing."""
        assert [] == sentences([probes(**container)], "P02")


class TestUnanswered:
    """P03."""

    @pytest.mark.parametrize(
        ("args", "probe", "field"),
        [
            ((), {"httpGet": {"path": "/health", "port": 8080}}, "port"),
            ((), {"tcpSocket": {"port": 8080}}, "port"),
            ((), {"httpGet": {"path": "/health", "port": "metrics"}}, "port"),
            ((), {"httpGet": {"path": "/health", "port": 0}}, "port"),
            (("a/b", "--port=9000"), HTTP, "port"),
            (("a/b", "--port", "9000"), HTTP, "port"),
            ((), {"httpGet": {"path": "/healthz", "port": 8000}}, "path"),
            ((), {"httpGet": {"port": 8000}}, "path"),
            (
                ("a/b", "--root-path=/qwen"),
                {"httpGet": {"path": "/llama/health", "port": 8000}},
                "path",
            ),
            (
                ("a/b", "--root-path=/x", "--api-key=$(KEY)"),
                {"httpGet": {"path": "/x/v1/models", "port": 8000}},
                "path",
            ),
            (
                ("a/b", "--api-key=$(KEY)"),
                {"httpGet": {"path": "/v1/models", "port": 8000}},
                "path",
            ),
            ((), {"httpGet": {"path": "/health", "port": 8000, "scheme": "HTTPS"}}, "scheme"),
            (("a/b", "--ssl-certfile=/c", "--ssl-keyfile=/k"), HTTP, "scheme"),
            ((), {"httpGet": {"path": "/health", "port": 8000, "scheme": "https"}}, "scheme"),
        ],
    )
    def test_bad(self, args: tuple[str, ...], probe: dict[str, Any], field: str) -> None:
        """A wrong port, path or scheme, in any probe."""
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            (one,) = found([probes(*args, **{name: probe})], "P03")
            assert (name, field) == (one.path[-3], one.path[-1])

    @pytest.mark.parametrize(
        ("args", "container"),
        [
            ((), {"readinessProbe": HTTP}),
            ((), {"readinessProbe": {"httpGet": {"path": "/v1/models", "port": 8000}}}),
            ((), {"readinessProbe": {"httpGet": {"path": "/health?x=1", "port": "8000"}}}),
            (("a/b", "--port=$(PORT)"), {"readinessProbe": {"tcpSocket": {"port": 9000}}}),
            # With the root path and without, and with a slash behind, which is redirected.
            (
                ("a/b", "--root-path=/qwen"),
                {"readinessProbe": {"httpGet": {"path": "/qwen/health", "port": 8000}}},
            ),
            (("a/b", "--root-path", "/qwen/"), {"readinessProbe": HTTP}),
            (
                ("a/b", "--root-path=$(ROOT)"),
                {"readinessProbe": {"httpGet": {"path": "/qwen/health", "port": 8000}}},
            ),
            ((), {"readinessProbe": {"httpGet": {"path": "/health/", "port": 8000}}}),
            ((), {"readinessProbe": {"httpGet": {"path": "/docs", "port": 8000}}}),
            (
                ("a/b", "--middleware=own.Alive"),
                {"readinessProbe": {"httpGet": {"path": "/alive", "port": 8000}}},
            ),
            (("a/b", "--headless"), {"readinessProbe": {"tcpSocket": {"port": 1}}}),
            (
                ("a/b", "--data-parallel-multi-port-external-lb", "--data-parallel-size=2"),
                {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 9256}}},
            ),
            (
                ("a/b", "--ssl-certfile=/c"),
                {
                    "readinessProbe": {
                        "httpGet": {"path": "/health", "port": 8000, "scheme": "HTTPS"}
                    }
                },
            ),
            ((), {"readinessProbe": {"exec": {"command": ["curl", "localhost:9"]}}}),
            ((), {"readinessProbe": {"grpc": {"port": 9000}}}),
        ],
    )
    def test_good(self, args: tuple[str, ...], container: dict[str, Any]) -> None:
        """What the engine answers, and what nobody here can tell."""
        assert [] == sentences([probes(*args, **container)], "P03")

    def test_sidecar(self) -> None:
        """A port of another container passes the probe on: llm-d's routing sidecar does so."""
        spec = pod_spec("a/b", "--port=8200", container={"readinessProbe": HTTP})
        proxy = {"name": "routing-proxy", "image": "x", "restartPolicy": "Always"}
        spec["initContainers"] = [{**proxy, "ports": [{"containerPort": 8000}]}]
        assert [] == sentences([deployment(spec)], "P03")
        spec["initContainers"] = [proxy]
        assert [] == sentences([deployment(spec)], "P03")

    def test_named_port(self) -> None:
        """A name is that of a port of the container."""
        ports = [{"name": "http", "containerPort": 8000}]
        probe = {"httpGet": {"path": "/health", "port": "http"}}
        assert [] == sentences([probes(ports=ports, readinessProbe=probe)], "P03")
        probe["httpGet"]["port"] = "htttp"
        (line,) = sentences([probes(ports=ports, readinessProbe=probe)], "P03")
        assert "did you mean 'http'?" in line


class TestParts:
    """Objects that an operator completes, and patches."""

    @staticmethod
    def of_kserve(**container: Any) -> dict[str, Any]:
        """A service whose containers are merged with those of KServe."""
        template = pod_spec("--max-model-len=4096", container=container)
        return {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "LLMInferenceService",
            "metadata": {"name": "qwen", "namespace": "llm"},
            "spec": {"template": template},
        }

    @staticmethod
    def patch(**container: Any) -> dict[str, Any]:
        """A patch of Kustomize."""
        made = probes(**container)
        del made["spec"]["selector"]
        return made

    @pytest.mark.parametrize(
        "container",
        [
            {"livenessProbe": HTTP},
            {"livenessProbe": {**HTTP, "periodSeconds": 5, "timeoutSeconds": 5}},
            {"startupProbe": {**HTTP, "periodSeconds": 5}},
            {"readinessProbe": {"httpGet": {"path": "/health", "port": "modelserver"}}},
        ],
    )
    def test_good(self, container: dict[str, Any]) -> None:
        """What is left out may be given elsewhere, and so may ports."""
        parts = [self.of_kserve(**container), self.patch(**container)]
        assert [] == sentences(parts, "P01", "P02", "P03")

    def test_scheme(self) -> None:
        """KServe gives the flags of the certificate."""
        tls = {"httpGet": {"path": "/health", "port": 8000, "scheme": "HTTPS"}}
        probe = {**tls, "timeoutSeconds": 5}
        assert [] == sentences([self.of_kserve(livenessProbe=probe)], "P03")
        assert ["P03"] == ids([self.patch(livenessProbe=probe)], "P03")

    def test_bad(self) -> None:
        """What is given is judged."""
        probe = {**HTTP, "timeoutSeconds": 1, "periodSeconds": 5, "failureThreshold": 2}
        parts = [self.of_kserve(livenessProbe=probe), self.patch(livenessProbe=probe)]
        assert 4 == len(found(parts, "P02"))
        assert ["P01"] == ids([self.of_kserve(startupProbe=probe)], "P01")


class TestAlwaysTrue:
    """P07."""

    @pytest.mark.parametrize(
        "command",
        [
            ["true"],
            ["/bin/true"],
            ["sh", "-c", "true"],
            ["/bin/sh", "-c", "exit 0"],
            ["bash", "-c", ":"],
            ["echo", "ok"],
        ],
    )
    def test_bad(self, command: list[str]) -> None:
        """A command that always succeeds."""
        assert ["P07"] == ids([probes(readinessProbe={"exec": {"command": command}})], "P07")

    @pytest.mark.parametrize(
        "command",
        [
            ["curl", "-f", "localhost:8000/health"],
            ["sh", "-c", "curl -f localhost:8000/health || exit 1"],
            ["sh", "-c", "test -f /tmp/ready && true"],
            ["sh", "-c", "echo x | nc localhost 8000"],
            [],
        ],
    )
    def test_good(self, command: list[str]) -> None:
        """A command that asks something."""
        assert [] == ids([probes(readinessProbe={"exec": {"command": command}})], "P07")
