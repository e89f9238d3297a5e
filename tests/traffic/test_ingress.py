"""Ingress: it leads to the Services of all hosts and paths, in every controller's dialect."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import validate
from tests.traffic.samples import controllers, made, proxy_settings
from vllm_constructs import AwsAlb, F5Nginx, GkeIngress
from vllm_constructs.traffic import ingress
from vllm_constructs.traffic.controllers import ProxySettings
from vllm_constructs.traffic.ingress import Backend


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


@pytest.mark.parametrize("controller", controllers(), ids=repr)
def test_validity(controller: Any) -> None:
    """An Ingress of any dialect is valid in all releases and leads to the Service."""

    @settings(max_examples=15, deadline=None)
    @given(strategies.names(), backends(), proxy_settings(4000), strategies.annotations())
    def check(
        name: str, served: list[Backend], proxy: ProxySettings, annotations: dict[str, str]
    ) -> None:
        if isinstance(controller, AwsAlb):
            proxy = replace(proxy, tls=None)
        found = ingress.manifest(
            name=name,
            controller=controller,
            backends=served,
            settings=proxy,
            annotations=annotations,
        )

        assert [] == validate(strategies.in_namespace(found))
        assert strategies.is_plain(found)
        spec = found["spec"]
        paths = {
            (rule["host"], path["path"]): path["backend"]["service"]
            for rule in spec["rules"]
            for path in rule["http"]["paths"]
        }
        expected = {
            (one.host, one.path): {"name": one.service, "port": {"number": one.port}}
            for one in served
        }
        assert expected == paths
        written = found["metadata"]["annotations"]
        assert sorted(written) == list(written)
        assert not [key for key in set(written) - set(annotations) if "snippet" in key]
        assert annotations.items() <= written.items()
        hosts = [rule["host"] for rule in spec["rules"]]
        tls = proxy.tls and [{"hosts": hosts, "secretName": proxy.tls.secret}]
        assert tls == spec.get("tls")
        is_gke = isinstance(controller, GkeIngress)
        assert (None if is_gke else controller.class_name) == spec.get("ingressClassName")

    check()


@pytest.mark.parametrize("path", ["/", "/v1", "/qwen-7b/v1", "/a_b.c"])
def test_path(path: str) -> None:
    """A path that every controller takes as a prefix stays as it is."""
    assert path == ingress.check_path("path", path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", None),
        ("/v1", None),
        ("/v1/chat", None),
        ("/health", None),
        ("/metrics", None),
        ("/qwen-7b/v1", "/qwen-7b"),
        ("/a/b/v1", "/a/b"),
    ],
)
def test_root_path(path: str, expected: str | None) -> None:
    """What stands before `/v1` is the root path; below vLLM's own paths there is none."""
    assert expected == ingress.root_path_of("StreamingIngress.path", path)


def annotated(**annotations: str) -> None:
    """Make an Ingress of F5's controller with more annotations."""
    ingress.check_annotations(
        {f"nginx.org/{name.replace('_', '-')}": value for name, value in annotations.items()},
        F5Nginx().annotations(made()),
    )


REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: ingress.check_path("path", "v1"), ("path is 'v1'", "'/v1' or '/'")),
    (lambda: ingress.check_path("path", "/v1/"), ("'/v1/'", "without '/' at the end")),
    (lambda: ingress.check_path("path", "/a//b"), ("'/a//b'", "without '//'")),
    (lambda: ingress.check_path("path", "/a b"), ("'/a b'", "a path such as")),
    (lambda: ingress.check_path("path", None), ("path is None", "a path such as")),
    (
        lambda: ingress.root_path_of("StreamingIngress.path", "/qwen-7b"),
        ("StreamingIngress.path is '/qwen-7b'", "vLLM serves nothing", "'/qwen-7b/v1'"),
    ),
    (lambda: annotated(server_snippets="x"), ("'nginx.org/server-snippets'", "reject snippets")),
    (lambda: annotated(location_snippet="x"), ("-snippet'", "leave it out")),
    (
        lambda: annotated(proxy_connect_timeout="soon"),
        ("annotations['nginx.org/proxy-connect-timeout'] is 'soon'", "F5", "a time such as '600s'"),
    ),
    (
        lambda: annotated(proxy_read_timeout="3600s"),
        ("'nginx.org/proxy-read-timeout'", "which is derived"),
    ),
    (
        lambda: ingress.check_annotations({"kubernetes.io/ingress.class": "nginx"}, {}),
        ("'kubernetes.io/ingress.class'", "which is derived"),
    ),
    (
        lambda: ingress.check_annotations({"a": 1}, {}),
        ("StreamingIngress.annotations['a'] is 1", "quote numbers"),
    ),
    (
        lambda: ingress.manifest(
            name="A", controller=F5Nginx(), backends=[], settings=made(), annotations={}
        ),
        ("StreamingIngress.name is 'A'", "'a'"),
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What a controller would reject or ignore is rejected with what it takes."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
