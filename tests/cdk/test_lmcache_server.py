"""LmCacheServer: the construct, and the models that use it."""

import pytest
from cdk8s import App, Chart
from syrupy.assertion import SnapshotAssertion

from tests.cdk.samples import chart, check_sample, container, model, only, rejected, variants
from vllm_constructs import EngineArgs, LmCacheClient, LmCacheServer, WholeGpu

H100 = WholeGpu("NVIDIA-H100-80GB-HBM3")


@pytest.mark.parametrize(("kind", "variant"), variants("LmCacheServer"))
def test_samples(kind: str, variant: str, rendered: SnapshotAssertion) -> None:
    """What the samples render is known, and valid on every release."""
    check_sample(kind, variant, rendered)


def test_client() -> None:
    """A model connects to the server by the name of its Service, and both sides agree."""
    scope = chart()
    server = LmCacheServer(scope, "lmcache", gib=60, gpu=H100)
    made = model(scope, gpu=H100, kv_offload=server)

    assert LmCacheClient(host="lmcache.llm.svc") == server.client == made.pod.kv_offload
    (flag,) = [one for one in container(scope)["args"] if "kv-transfer-config" in one]
    assert '"lmcache.mp.host": "tcp://lmcache.llm.svc"' in flag.replace('":"', '": "')
    assert (
        "--isolated-ipc"
        in only(scope, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["args"]
    )


def test_network() -> None:
    """The policy of the model lets it connect to the server, and that of the server lets it in."""
    scope = chart()
    server = LmCacheServer(scope, "lmcache", gib=60, gpu=H100)
    model(scope, gpu=H100, kv_offload=server)

    port = [{"port": 5555, "protocol": "TCP"}]
    egress = only(scope, "NetworkPolicy", "qwen")["spec"]["egress"]
    assert [rule for rule in egress if rule.get("ports") == port]
    (ingress,) = only(scope, "NetworkPolicy", "lmcache")["spec"]["ingress"]
    labels = only(scope, "Deployment")["spec"]["template"]["metadata"]["labels"]
    (peer,) = ingress["from"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    assert port == ingress["ports"]


def test_objects() -> None:
    """Its objects are attributes, all of one name."""
    server = LmCacheServer(chart(), "KV cache", gib=60, gpu=H100)
    found = (server.daemon_set, server.service, server.network_policy)

    assert ["DaemonSet", "Service", "NetworkPolicy"] == [one.kind for one in found]
    assert {"kv-cache"} == {one.name for one in found}


def test_elsewhere() -> None:
    """A model of another namespace or app cannot use it."""
    app = App()
    first, second = (Chart(app, id, namespace=id) for id in ("a", "b"))
    server = LmCacheServer(first, "lmcache", gib=60, gpu=H100)
    with rejected(second, r"^kv_offload is in namespace 'a', and this chart is in 'b'; put both"):
        model(second, gpu=H100, kv_offload=server)
    other = chart()
    with rejected(other, r"^kv_offload is in another app; put both into one app"):
        model(other, gpu=H100, kv_offload=server)


def test_namespace() -> None:
    """A chart without a namespace is rejected: engines find the server by it."""
    scope = chart(namespace=None)
    with rejected(scope, "LmCacheServer needs the namespace, and the chart has none"):
        LmCacheServer(scope, "lmcache", gib=60, gpu=H100)


def test_metrics_from() -> None:
    """Namespaces of Prometheus are checked."""
    scope = chart()
    with rejected(scope, r"LmCacheServer\.metrics_from is 'A'"):
        LmCacheServer(scope, "lmcache", gib=60, gpu=H100, metrics_from=["A"])


def test_hybrid() -> None:
    """What a hybrid model offloads is doubled, also by a flag; a server takes any model."""
    scope = chart()
    server = LmCacheServer(scope, "lmcache", gib=60, gpu=H100)
    name = "openai/gpt-oss-20b"
    sized = model(scope, "sized", model=name, gpu=H100, engine=EngineArgs(kv_offloading_size=8))
    made = model(scope, "served", model=name, gpu=H100, kv_offload=server, served_name="served")

    assert ("32Gi", "48Gi") == sized.pod.memory_pair
    assert sized.memory_plan is not None
    assert 16 * 2**30 == sized.memory_plan.host_kv_cache
    assert ("16Gi", "32Gi") == made.pod.memory_pair


def test_nodes() -> None:
    """A model on other nodes than the servers is refused."""
    scope = chart()
    server = LmCacheServer(scope, "lmcache", gib=60, gpu=H100)
    with rejected(scope, "the LmCacheServer 'lmcache' on those where it is NVIDIA-H100-80GB-HBM3"):
        model(scope, gpu=WholeGpu("NVIDIA-L40S"), kv_offload=server)
