"""Rule of the configuration of connectors: X07."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import container, deployment, pod
from .sides import BOTH, engine, side

NOT_VLLM = {"image": "registry.example/vllm-openai:build7"}


def named(name: str, **fields: Any) -> dict[str, Any]:
    """An engine with a connector.

    Args:
        name: The name of the connector.
        **fields: Fields of the container.
    """
    return side("prefill", engine(config={**BOTH, "kv_connector": name}, **fields))


def tagged(tag: str) -> dict[str, str]:
    """The image of a release.

    Args:
        tag: Its tag.
    """
    return {"image": f"vllm/vllm-openai:{tag}"}


@pytest.mark.parametrize(
    ("manifest", "words", "level"),
    [
        (
            side("prefill", engine(config={"kv_connector": "NixlConnector"})),
            "without 'kv_role'",
            "error",
        ),
        (side("prefill", engine(config={**BOTH, "kv_ip": "10.0.0.1"})), "kv_ip", "error"),
        (side("prefill", engine(config={**BOTH, "kv_role": "kv_all"})), "kv_all", "error"),
        (side("prefill", engine(config="{kv_connector: NixlConnector}")), "JSON", "error"),
        (
            deployment(
                "m", pod(container("m", "--kv-transfer-config.kv_connector", "NixlConnector"))
            ),
            "without 'kv_role'",
            "error",
        ),
        (
            deployment(
                "m",
                pod(
                    container("m", "--ec-transfer-config", '{"ec_connector":"ECExampleConnector"}')
                ),
            ),
            "without 'ec_role'",
            "error",
        ),
        (
            named("P2pNcclConnector"),
            "no longer a connector of vLLM 0.33.0; use NixlConnector",
            "error",
        ),
        (named("SharedStorageConnector", **tagged("v0.13.0")), "use ExampleConnector", "error"),
        (named("PyNcclConnector"), "no longer a connector", "error"),
        (named("LMCacheConnector"), "use LMCacheConnectorV1", "error"),
        (named("NixlPushConnector", **tagged("v0.20.2")), "not yet a connector", "error"),
        (named("NixelConnector"), "did you mean 'NixlConnector'?", "error"),
        (named("P2pNcclConnector", **tagged("latest")), "no longer a connector", "warning"),
        (
            side(
                "prefill",
                engine(
                    config={
                        "kv_connector": "MultiConnector",
                        "kv_role": "kv_both",
                        "kv_connector_extra_config": {
                            "connectors": [{**BOTH, "kv_connector": "P2pNcclConnector"}]
                        },
                    }
                ),
            ),
            "is 'P2pNcclConnector'",
            "error",
        ),
    ],
)
def test_refused(manifest: dict[str, Any], words: str, level: str) -> None:
    """Keys, roles and names that a release refuses are found."""
    findings = found([manifest], "X07")

    assert [level] == [one.level for one in findings], sentences([manifest], "X07")
    assert words in findings[0].problem.sentence()


@pytest.mark.parametrize(
    "manifest",
    [
        side("prefill"),
        named("P2pNcclConnector", **tagged("v0.20.2")),
        named("SharedStorageConnector", **tagged("v0.12.0")),
        # The image is one's own, and its plugins may have it.
        named("MyConnector", **NOT_VLLM),
        named("P2pNcclConnector", **NOT_VLLM),
        named("my.module.Connector"),
        side(
            "prefill",
            engine(
                config={
                    **BOTH,
                    "kv_connector": "TPUConnector",
                    "kv_connector_module_path": "tpu.connector",
                }
            ),
        ),
        side("prefill", engine(config={**BOTH, "kv_port": 14579})),
        side("prefill", engine(config="$(CONFIG)")),
        side("prefill", engine(config=None)),
        deployment(
            "m",
            pod(
                container(
                    "m",
                    "--kv-transfer-config.kv_connector",
                    "NixlConnector",
                    "--kv-transfer-config.kv_role=kv_both",
                )
            ),
        ),
    ],
)
def test_good(manifest: dict[str, Any]) -> None:
    """Connectors of the release, and of plugins, are no mistake."""
    assert [] == sentences([manifest], "X07")


@pytest.mark.parametrize("value", [None, [], {"a": 1}, 3, "x", True])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    found([side("prefill", engine(config=value)), named(value)], "X07")
