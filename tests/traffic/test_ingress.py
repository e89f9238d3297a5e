"""Ingress: each controller's dialect, with the timeouts that the longest answer needs."""

import itertools
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import assert_valid, validate
from vllm_constructs import (
    AwsAlb,
    ClusterIssuer,
    F5Nginx,
    GkeIngress,
    IngressNginx,
    TlsSecret,
    Traefik,
    VllmConstructsWarning,
)
from vllm_constructs.traffic import ingress
from vllm_constructs.traffic.ingress import Backend, Front

ARN = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b-2c3d"


def old_nginx(**fields: Any) -> IngressNginx:
    """Return the retired controller."""
    with pytest.warns(VllmConstructsWarning, match="retired"):
        return IngressNginx(**fields)


def controllers() -> list[Any]:
    """Return every controller, with and without options."""
    return [
        old_nginx(),
        old_nginx(class_name="internal", namespace="edge"),
        F5Nginx(),
        Traefik(),
        Traefik(entry_point="web2"),
        AwsAlb(subnets=["10.0.0.0/16", "fd00::/64"]),
        AwsAlb(subnets=("10.0.0.0/16",), certificate=ARN, scheme="internet-facing"),
        GkeIngress(),
        GkeIngress(class_name="gce-internal", proxy_subnets=["10.129.0.0/23"]),
    ]


def backends() -> st.SearchStrategy[list[Backend]]:
    """Hosts and paths."""
    one = st.builds(
        Backend,
        host=st.sampled_from(("a.example.com", "b.example.com", "c.example.com")),
        path=st.sampled_from(("/", "/v1", "/qwen-7b/v1", "/a_b.c")),
        service=strategies.names(),
        port=st.integers(1024, 65535),
    )
    return st.lists(one, min_size=1, max_size=3, unique_by=lambda item: (item.host, item.path))


def fronts(longest: int = 86400) -> st.SearchStrategy[Front]:
    """What a front has to do."""
    issuers = st.builds(ClusterIssuer, strategies.names(), secret=strategies.names())
    return st.builds(
        Front,
        longest_answer=st.integers(1, longest),
        drain=st.integers(1, 90_000),
        max_body=st.integers(1, 10_240),
        tls=st.one_of(st.none(), issuers, st.builds(TlsSecret, strategies.names())),
    )


@pytest.mark.parametrize("controller", controllers(), ids=repr)
def test_validity(controller: Any) -> None:
    """An Ingress of any dialect is valid in all releases and leads to the Service."""

    @settings(max_examples=15, deadline=None)
    @given(strategies.names(), backends(), fronts(4000), strategies.annotations())
    def check(name: str, served: list[Backend], front: Front, annotations: dict[str, str]) -> None:
        if isinstance(controller, AwsAlb):
            front = Front(
                longest_answer=front.longest_answer,
                drain=front.drain,
                max_body=front.max_body,
                tls=None,
            )
        found = ingress.manifest(
            name=name,
            controller=controller,
            backends=served,
            front=front,
            annotations=annotations,
        )

        assert validate(strategies.in_namespace(found)) == []
        assert strategies.is_plain(found)
        spec = found["spec"]
        paths = {
            (rule["host"], path["path"]): path["backend"]["service"]
            for rule in spec["rules"]
            for path in rule["http"]["paths"]
        }
        assert paths == {
            (one.host, one.path): {"name": one.service, "port": {"number": one.port}}
            for one in served
        }
        written = found["metadata"]["annotations"]
        assert list(written) == sorted(written)
        assert not [key for key in written if "snippet" in key]
        assert annotations.items() <= written.items()
        assert ("tls" in spec) is (front.tls is not None)
        is_gke = isinstance(controller, GkeIngress)
        assert spec.get("ingressClassName") == (None if is_gke else controller.class_name)

    check()


@settings(max_examples=60, deadline=None)
@given(fronts())
def test_ingress_nginx(front: Front) -> None:
    """The community's controller takes seconds without a unit, and `off`."""
    found = old_nginx().annotations(front)

    prefix = "nginx.ingress.kubernetes.io/proxy-"
    assert found[f"{prefix}buffering"] == "off"
    assert found[f"{prefix}request-buffering"] == "off"
    for name in ("read-timeout", "send-timeout"):
        assert int(found[prefix + name]) >= front.longest_answer
    assert found[f"{prefix}body-size"] == f"{front.max_body}m"


@settings(max_examples=60, deadline=None)
@given(fronts())
def test_f5_nginx(front: Front) -> None:
    """F5's controller takes seconds with a unit, and `false`; challenges change the Ingress."""
    found = F5Nginx().annotations(front)

    assert found["nginx.org/proxy-buffering"] == "false"
    for name in ("read", "send"):
        assert found[f"nginx.org/proxy-{name}-timeout"] == f"{front.longest_answer}s"
    in_place = "acme.cert-manager.io/http01-edit-in-place" in found
    assert in_place is isinstance(front.tls, ClusterIssuer)


def test_traefik() -> None:
    """Traefik streams by itself and needs to be told of TLS only."""
    plain = Front(longest_answer=300, drain=330, max_body=100, tls=None)
    secure = Front(longest_answer=300, drain=330, max_body=100, tls=TlsSecret("tls"))

    prefix = "traefik.ingress.kubernetes.io/router"
    assert Traefik().annotations(plain) == {}
    assert Traefik(entry_point="web2").annotations(secure) == {
        f"{prefix}.entrypoints": "web2",
        f"{prefix}.tls": "true",
    }


@settings(max_examples=60, deadline=None)
@given(fronts(4000))
def test_aws_alb(front: Front) -> None:
    """An ALB keeps connections for the longest answer, and its targets while they drain."""
    plain = Front(
        longest_answer=front.longest_answer, drain=front.drain, max_body=front.max_body, tls=None
    )

    found = AwsAlb(subnets=["10.0.0.0/8"], certificate=ARN).annotations(plain)

    prefix = "alb.ingress.kubernetes.io"
    idle = f"idle_timeout.timeout_seconds={front.longest_answer}"
    assert found[f"{prefix}/load-balancer-attributes"] == idle
    _, _, delay = found[f"{prefix}/target-group-attributes"].partition("timeout_seconds=")
    assert int(delay) == min(front.drain, 3600)
    assert found[f"{prefix}/target-type"] == "ip"
    assert found[f"{prefix}/certificate-arn"] == ARN


@settings(max_examples=30, deadline=None)
@given(fronts(), strategies.names(), st.integers(1024, 65535))
def test_gke(front: Front, name: str, port: int) -> None:
    """GKE's timeouts are in a BackendConfig beside the Ingress."""
    found = GkeIngress().backend_config(name, port, front)

    assert_valid(strategies.in_namespace(found))
    assert found["spec"]["timeoutSec"] == front.longest_answer
    assert found["spec"]["connectionDraining"]["drainingTimeoutSec"] <= 3600
    health = {"type": "HTTP", "requestPath": "/health", "port": port}
    assert found["spec"]["healthCheck"] == health
    assert GkeIngress().annotations(front) == {"kubernetes.io/ingress.class": "gce"}


def test_cert_manager() -> None:
    """A ClusterIssuer is told by an annotation, a Secret needs none."""
    annotations = ClusterIssuer("letsencrypt", secret="tls").annotations()

    assert annotations == {"cert-manager.io/cluster-issuer": "letsencrypt"}
    assert TlsSecret.from_secret("tls") == TlsSecret("tls")
    assert TlsSecret("tls").annotations() == {}


@pytest.mark.parametrize("controller", controllers(), ids=repr)
def test_peers(controller: Any) -> None:
    """Each controller says where its requests come from, as a NetworkPolicy takes it."""
    rules = [{"from": [peer]} for peer in controller.peers()]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "x", "namespace": "llm"},
        "spec": {"podSelector": {}, "ingress": rules},
    }

    assert len(rules) >= 1
    assert validate(policy) == []
    if hasattr(controller, "namespace"):
        label = {"kubernetes.io/metadata.name": controller.namespace}
        assert rules == [{"from": [{"namespaceSelector": {"matchLabels": label}}]}]


@pytest.mark.parametrize(
    ("one", "other"), [*itertools.combinations([F5Nginx(), Traefik(), GkeIngress()], 2)], ids=repr
)
def test_dialects(one: Any, other: Any) -> None:
    """No annotation of one controller is another's."""
    front = Front(longest_answer=300, drain=330, max_body=100, tls=TlsSecret("tls"))

    assert set(one.annotations(front)) & set(other.annotations(front)) == set()


@pytest.mark.parametrize("path", ["/", "/v1", "/qwen-7b/v1", "/a_b.c"])
def test_path(path: str) -> None:
    """A path that every controller takes as a prefix stays as it is."""
    assert ingress.check_path("path", path) == path


def front(seconds: int = 300, **fields: Any) -> Front:
    """Return a front with this longest answer."""
    return Front(
        **{"longest_answer": seconds, "drain": 330, "max_body": 100, "tls": None, **fields}
    )


def annotated(**annotations: str) -> None:
    """Make an Ingress of F5's controller with more annotations."""
    ingress.check_annotations(
        {f"nginx.org/{name.replace('_', '-')}": value for name, value in annotations.items()},
        F5Nginx().annotations(front()),
    )


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: ClusterIssuer("A", secret="tls"), ("issuer_name is 'A'", "'a'")),
    (lambda: ClusterIssuer("a", secret="T_ls"), ("ClusterIssuer.secret is 'T_ls'", "'t-ls'")),
    (lambda: TlsSecret("T"), ("TlsSecret.secret is 'T'", "'t'")),
    (lambda: TlsSecret.from_secret(7), ("from_secret secret is 7", "Secret")),  # type: ignore[arg-type]  # the mistake
    (lambda: F5Nginx(class_name=""), ("F5Nginx.class_name is ''", "lower-case")),
    (lambda: F5Nginx(namespace="a.b"), ("F5Nginx.namespace is 'a.b'", "'a-b'")),
    (lambda: Traefik(entry_point="Web"), ("Traefik.entry_point is 'Web'", "'web'")),
    (lambda: IngressNginx(namespace="A"), ("IngressNginx.namespace is 'A'", "'a'")),
    (
        lambda: GkeIngress(class_name="gce-internal"),
        ("GkeIngress.proxy_subnets is empty", "proxy-only subnet", "'10.129.0.0/23'"),
    ),
    (lambda: GkeIngress(proxy_subnets=["x"]), ("GkeIngress.proxy_subnets is 'x'", "such as")),
    (lambda: AwsAlb(subnets=[]), ("AwsAlb.subnets is []", "at least one")),
    (lambda: AwsAlb(subnets="10.0.0.0/8"), ("'10.0.0.0/8'", "a list of address ranges")),
    (lambda: AwsAlb(subnets=["x"]), ("AwsAlb.subnets is 'x'", "'10.0.0.0/16'")),
    (lambda: AwsAlb(subnets=["10.0.0.0/8"], certificate="x"), ("'x'", "the ARN")),
    (
        lambda: AwsAlb(subnets=["10.0.0.0/8"], scheme="public"),  # type: ignore[arg-type]  # the mistake
        ("'public'", "'internal', 'internet-facing'"),
    ),
    (
        lambda: AwsAlb(subnets=["10.0.0.0/8"]).annotations(front(4001)),
        ("longest_answer is 4001", "4000 seconds", "lower it"),
    ),
    (
        lambda: AwsAlb(subnets=["10.0.0.0/8"]).annotations(front(tls=TlsSecret("tls"))),
        ("tls", "an ALB cannot use", "certificate=..."),
    ),
    (lambda: GkeIngress(class_name="nginx"), ("'nginx'", "'gce', 'gce-internal'")),  # type: ignore[arg-type]  # the mistake
    (lambda: ingress.check_path("path", "v1"), ("path is 'v1'", "'/v1' or '/'")),
    (lambda: ingress.check_path("path", "/v1/"), ("'/v1/'", "without '/' at the end")),
    (lambda: ingress.check_path("path", "/a//b"), ("'/a//b'", "without '//'")),
    (lambda: ingress.check_path("path", "/a b"), ("'/a b'", "a path such as")),
    (lambda: ingress.check_path("path", None), ("path is None", "a path such as")),
    (lambda: annotated(server_snippets="x"), ("'nginx.org/server-snippets'", "refuse snippets")),
    (lambda: annotated(location_snippet="x"), ("-snippet'", "leave it out")),
    (
        lambda: annotated(proxy_read_timeout="3600s"),
        ("'nginx.org/proxy-read-timeout'", "which is derived"),
    ),
    (
        lambda: ingress.check_annotations({"a": 1}, {}),
        ("StreamingIngress.annotations['a'] is 1", "quote numbers"),
    ),
    (
        lambda: ingress.manifest(
            name="A", controller=F5Nginx(), backends=[], front=front(), annotations={}
        ),
        ("StreamingIngress.name is 'A'", "'a'"),
    ),
]


@pytest.mark.filterwarnings("ignore::vllm_constructs.VllmConstructsWarning")
@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What a controller would refuse or ignore is refused with what it takes."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence


def test_frozen() -> None:
    """Controllers cannot be changed after they were checked."""
    with pytest.raises(FrozenInstanceError):
        Traefik().namespace = "A"  # type: ignore[misc]  # the point
