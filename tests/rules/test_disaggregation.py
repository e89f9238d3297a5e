"""Rules of engines that compute prompts and answers apart: X01, X03 and X04."""

from __future__ import annotations

from typing import Any

import pytest

from .findings import found, sentences
from .several_pods import POD_IP, deployment
from .sides import BOTH, HOST, disaggregated_set, engine, side, sides, template

NAME = "VLLM_NIXL_SIDE_CHANNEL_HOST"
MULTI = {
    "kv_connector": "MultiConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {
        "connectors": [BOTH, {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}]
    },
}
OFFLOADING = {"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}
LMCACHE = {"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}


def host(value: str) -> list[dict[str, Any]]:
    """The variable with a value.

    Args:
        value: The value.
    """
    return [{"name": NAME, "value": value}]


def shell(text: str, **fields: Any) -> dict[str, Any]:
    """An engine that a shell starts.

    Args:
        text: The script.
        **fields: Its other fields.
    """
    return engine(**{"env": [], "command": ["/bin/sh", "-c"], "args": [text], **fields})


START = (
    """vllm serve m --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'"""
)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (engine(env=[]), "is not given, which means localhost"),
        (engine(env=[{"name": "UCX_TLS", "value": "all"}]), "is not given"),
        (engine(env=host("localhost")), "is 'localhost': another pod that dials it"),
        (engine(env=host("127.0.0.1")), "is '127.0.0.1'"),
        (engine(env=host("0.0.0.0")), "is '0.0.0.0', which is told to the other pod"),  # noqa: S104
        (
            engine(env=[{"name": "IP", "value": "::"}, *host("$(IP)")]),
            "is '::', which is told to the other pod",
        ),
        (
            engine(env=[{"name": NAME, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]),
            "is the address of the machine",
        ),
        (engine(env=[], config=MULTI), "is not given"),
        (engine(env=[], config={**BOTH, "kv_connector": "NixlPushConnector"}), "is not given"),
        (shell(f"export {NAME}=0.0.0.0; {START}"), "is '0.0.0.0'"),
        (shell(f"exec {START}"), "is not given"),
    ],
)
def test_side_channel(one: dict[str, Any], words: str) -> None:
    """A host that is left on localhost, or is no address to dial, is found."""
    for manifest in (side("prefill", one), side("decode", one)):
        (finding,) = found([manifest], "X01")

        assert words in finding.problem.sentence()
        assert "error" == finding.level


def test_fix() -> None:
    """The fix takes the address of the pod."""
    (missing,) = found([side("prefill", engine(env=[{"name": "A", "value": "1"}]))], "X01")
    (wrong,) = found([side("prefill", engine(env=host("localhost")))], "X01")

    assert missing.fix is not None
    assert wrong.fix is not None
    assert [1, 0] == [one.fix.edits[0].path[-1] for one in (missing, wrong) if one.fix]
    assert {"name": NAME, **POD_IP} == missing.fix.edits[0].value == wrong.fix.edits[0].value


def test_consumer() -> None:
    """Nobody dials an engine that only takes."""
    one = engine(env=[], config={**BOTH, "kv_role": "kv_consumer"})

    assert ["warning"] == [finding.level for finding in found([side("decode", one)], "X01")]


TWO = template("prefill", engine(env=[]))
TWO["spec"]["containers"].append(engine("--port=8001", env=[], name="decode"))


@pytest.mark.parametrize(
    "manifest",
    [
        side("prefill"),
        side("prefill", engine(env=[{"name": "IP", **POD_IP}, *host("$(IP)")])),
        side("prefill", engine(env=host("$(ELSEWHERE)"))),
        side("prefill", engine(env=[], envFrom=[{"configMapRef": {"name": "elsewhere"}}])),
        # Both sides are in one pod.
        deployment("pd", TWO),
        # Keeping the cache of one engine is no transfer.
        side("prefill", engine(env=[], config=OFFLOADING)),
        side("prefill", engine(env=[], config=LMCACHE)),
        side("prefill", engine(env=[], config={**BOTH, "kv_connector": "MooncakeConnector"})),
        side("prefill", engine(env=[], config=None)),
        side("prefill", engine(env=[], config="$(CONFIG)")),
        side("prefill", shell(f"export {NAME}=$(hostname -i); {START}")),
        side(
            "prefill",
            engine(env=[{"name": NAME, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]),
        )
        | {
            "spec": {
                "selector": {},
                "template": {
                    "spec": {
                        "hostNetwork": True,
                        "containers": [
                            engine(
                                env=[
                                    {
                                        "name": NAME,
                                        "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}},
                                    }
                                ]
                            )
                        ],
                    }
                },
            }
        },
        # KServe adds what is not here.
        {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceService",
            "metadata": {"name": "m"},
            "spec": {"template": {"containers": [engine(env=[])]}},
        },
    ],
)
def test_good_side_channel(manifest: dict[str, Any]) -> None:
    """Addresses of pods, and engines that keep their cache, are no mistake."""
    assert [] == sentences([manifest], "X01")


def image(tag: str) -> dict[str, Any]:
    """An engine of another release.

    Args:
        tag: The tag of its image.
    """
    return engine(image=f"vllm/vllm-openai:{tag}")


@pytest.mark.parametrize(
    ("prefill", "decode", "words"),
    [
        (image("v0.33.0"), image("v0.32.0"), "vLLM is 0.32.0, not the 0.33.0 of the prefill side"),
        (engine("--dtype=float16"), engine("--dtype=bfloat16"), "--dtype is 'bfloat16'"),
        (
            engine("--kv-cache-dtype=fp8"),
            engine(),
            "--kv-cache-dtype is 'auto', not the 'fp8_e4m3'",
        ),
        (
            engine("--kv-cache-dtype", "fp8_e5m2"),
            engine("--kv_cache_dtype", "fp8_e4m3"),
            "not the 'fp8_e5m2'",
        ),
        (
            engine("--attention-backend=FLASHINFER"),
            engine("--attention-backend=FLASH_ATTN"),
            "--attention-backend is 'FLASH_ATTN'",
        ),
        (
            engine(),
            engine(
                args=[
                    "org/other",
                    "--kv-transfer-config",
                    '{"kv_connector":"NixlConnector","kv_role":"kv_both"}',
                ]
            ),
            "the model is 'org/other', not the 'org/m'",
        ),
        (
            engine(),
            engine(config={**BOTH, "kv_connector": "NixlPushConnector"}),
            "the connector is NixlPushConnector, not the NixlConnector",
        ),
        (
            engine(config={**BOTH, "kv_connector": "MooncakeConnector"}),
            engine(),
            "the connector is NixlConnector, not the MooncakeConnector",
        ),
    ],
)
def test_handshake(prefill: dict[str, Any], decode: dict[str, Any], words: str) -> None:
    """What differs between the sides is found at the decode side."""
    manifests = [side("prefill", prefill), side("decode", decode)]
    for objects in (manifests, [disaggregated_set(prefill, decode)]):
        (finding,) = found(objects, "X03")

        assert words in finding.problem.sentence()


PLAIN = {
    "kv_connector": "NixlConnector",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {"enforce_handshake_compat": False},
}


@pytest.mark.parametrize(
    ("prefill", "decode"),
    [
        (None, None),
        (engine("--tensor-parallel-size=1"), engine("--tensor-parallel-size=4", "--port=8200")),
        (engine("--dtype=half"), engine("--dtype=float16")),
        (engine("--dtype=auto"), engine("--dtype=bfloat16")),
        (engine("--kv-cache-dtype=fp8"), engine("--kv-cache-dtype=fp8_e4m3")),
        (engine("--kv-cache-dtype=auto"), engine("--kv-cache-dtype=bfloat16")),
        (engine("--kv-cache-dtype=fp8"), engine("$(MORE)")),
        (engine("--kv-cache-dtype=fp8"), engine("--kv-cache-dtype", "$(DTYPE)")),
        (engine("--attention-backend=FLASHINFER"), engine()),
        (image("v0.33.0"), engine(image="registry.example/vllm-openai:build7")),
        (
            engine(config=PLAIN, image="vllm/vllm-openai:v0.32.0"),
            engine(config=PLAIN, image="vllm/vllm-openai:v0.33.0"),
        ),
        (engine(config=MULTI), engine()),
        (
            engine(config={**BOTH, "kv_role": "kv_producer"}),
            engine(config={**BOTH, "kv_role": "kv_consumer"}),
        ),
        (engine(config=OFFLOADING), engine("--dtype=float16", config=OFFLOADING)),
        (
            image("v0.12.0"),
            engine(
                image="vllm/vllm-openai:v0.12.0",
                args=[
                    "/models/m",
                    "--kv-transfer-config",
                    '{"kv_connector":"NixlConnector","kv_role":"kv_both"}',
                ],
            ),
        ),
    ],
)
def test_good_handshake(prefill: dict[str, Any] | None, decode: dict[str, Any] | None) -> None:
    """What may differ, and what is not known, is no mistake."""
    assert [] == sentences(sides(prefill, decode), "X03")


def test_other_models() -> None:
    """Sides of two models do not belong together."""
    other = engine(
        args=[
            "org/other",
            "--kv-transfer-config",
            '{"kv_connector":"NixlConnector","kv_role":"kv_both"}',
        ]
    )
    template_of_other = template("decode", other, app="other")
    manifests = [side("prefill"), deployment("other-decode", template_of_other)]

    assert [] == sentences(manifests, "X03")


FAIL = {**BOTH, "kv_load_failure_policy": "fail"}
RECOMPUTE = {**BOTH, "kv_load_failure_policy": "recompute"}


@pytest.mark.parametrize(
    ("manifests", "words"),
    [
        (sides(), "is left out, which is 'fail'"),
        (
            sides(engine(config=FAIL), engine(config=FAIL)),
            "is 'fail': while Deployment llm/m-decode",
        ),
        (sides(engine(config=RECOMPUTE), engine()), "is left out"),
        ([{**one, "kind": "StatefulSet"} for one in sides()], "is left out"),
        (sides(image("v0.17.1"), image("v0.17.1")), "is 'fail' in vLLM 0.17.1"),
    ],
)
def test_rolling(manifests: list[dict[str, Any]], words: str) -> None:
    """Rolling updates of both sides that fail requests are found once."""
    (finding,) = found(manifests, "X04")

    assert words in finding.problem.sentence()
    assert ("m-decode", "warning") == (finding.manifest.name, finding.level)


@pytest.mark.parametrize(
    "manifests",
    [
        sides(engine(), engine(config=RECOMPUTE)),
        sides(strategy={"type": "Recreate"}),
        [disaggregated_set()],
        sides(engine(config=PLAIN), engine(config=PLAIN)),
        sides(image("v0.12.0"), image("v0.12.0")),
        sides(image("v0.16.0"), image("v0.16.0")),
        [side("prefill")],
        sides(engine(config=OFFLOADING), engine(config=OFFLOADING)),
        [
            {
                **one,
                "kind": "StatefulSet",
                "spec": {**one["spec"], "updateStrategy": {"type": "OnDelete"}},
            }
            for one in sides()
        ],
    ],
)
def test_good_rolling(manifests: list[dict[str, Any]]) -> None:
    """Sides that recompute, or are updated together, are no mistake."""
    assert [] == sentences(manifests, "X04")


@pytest.mark.parametrize("value", [None, [], [None], {"a": 1}, 3, "x", {"kv_connector": []}])
def test_any_value(value: Any) -> None:
    """Fields of other types are no error of the check."""
    nested = {
        "kv_connector": "MultiConnector",
        "kv_role": value,
        "kv_connector_extra_config": {"connectors": value},
    }
    manifests = [
        *sides(engine(config=value), engine(config=nested)),
        side("decode", engine(env=value)),
        side("decode", engine(args=value)),
        {**disaggregated_set(), "spec": {"roles": value}},
    ]

    found([*manifests, HOST], "X01", "X03", "X04")
