"""Streamed answers through real fronts: nginx with our directives, and Traefik as a controller.

All timeouts are divided by `FASTER` here, the controllers' defaults and ours alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cdk8s import App, Chart

from vllm_constructs import ModelDeployment, StreamingIngress, WholeGpu

from . import binaries, streaming
from .bed import Bed
from .conftest import NEWEST, rendered
from .kubectl import Kubectl, wait_for
from .nginx_directives import COMMUNITY, F5, Dialect
from .streaming import HOST, Answer, Client, Wish
from .traefik import CLASS, SECURE, Controller, running

SILENCE = 2.2
"""Seconds of silence: twice the defaults' patience, and less than half of ours."""
MIB = 1024 * 1024

newest = pytest.mark.parametrize("bed", [NEWEST], indirect=True)


@pytest.fixture(params=[F5, COMMUNITY], ids=["f5", "community"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """A controller on nginx."""
    found: Dialect = request.param
    return found


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a model server."""
    with streaming.model_server() as port:
        yield port


@dataclass
class Fronts:
    """Debian's nginx, twice before one model server.

    Args:
        default: With what a controller writes for a bare Ingress.
        ours: With what it makes of the Ingress that we render.
    """

    default: Client
    ours: Client

    def ask(self, wish: Wish) -> tuple[Answer, Answer]:
        """Ask both at the same time."""
        default, ours = _at_once((self.default, wish), (self.ours, wish))
        return default, ours


def _at_once(*wishes: tuple[Client, Wish]) -> list[Answer]:
    """The answers to requests that are made at the same time."""
    with ThreadPoolExecutor(len(wishes)) as pool:
        return list(pool.map(lambda one: one[0].ask(one[1]), wishes))


@pytest.fixture
def fronts(dialect: Dialect, server: int, tmp_path: Path) -> Iterator[Fronts]:
    """Debian's nginx as the controller sets it up, without and with our annotations."""
    chart = Chart(App(), "test", namespace="llm")
    model = ModelDeployment(chart, "qwen", model="a/b", gpu=WholeGpu("NVIDIA-L40S"))
    StreamingIngress(chart, "front", target=model, host=HOST, controller=dialect.controller)
    (ingress,) = [item for item in rendered(chart) if item["kind"] == "Ingress"]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    annotations = ingress["metadata"]["annotations"]
    assert annotations
    with ExitStack() as stack:
        clients = []
        for name, given in (("default", {}), ("ours", annotations)):
            folder = tmp_path / name
            folder.mkdir()
            found = dialect.directives(given)
            try:
                running = streaming.nginx(folder, server, path["path"], found)
                clients.append(stack.enter_context(running))
            except binaries.MissingError as missing:
                pytest.skip(str(missing))
        yield Fronts(*clients)


def test_tokens(fronts: Fronts) -> None:
    """With our annotations tokens pass nginx one by one, in chunks or until the connection ends."""
    for answer in _at_once((fronts.ours, Wish()), (fronts.ours, Wish(chunked=False))):
        assert (200, 6, True, "[DONE]") == _summary(answer)
        assert answer.came_one_by_one


@pytest.mark.parametrize("dialect", [F5], ids=["f5"], indirect=True)
def test_buffering(fronts: Fronts) -> None:
    """F5's defaults keep a stream that ends with its connection, and give it in one lump."""
    default, ours = fronts.ask(Wish(chunked=False))

    assert (200, 6, True, "[DONE]") == _summary(default) == _summary(ours)
    assert (True, False) == (default.came_in_one_lump, ours.came_in_one_lump)


@pytest.mark.parametrize("dialect", [F5], ids=["f5"], indirect=True)
def test_chunks(fronts: Fronts) -> None:
    """Nginx passes whole chunks, which vLLM sends, at once even where F5's defaults buffer."""
    answer = fronts.default.ask(Wish(chunked=True))

    assert (200, 6, True, "[DONE]") == _summary(answer)
    assert answer.came_one_by_one


def test_pause(fronts: Fronts) -> None:
    """A pause above the default read timeout cuts a stream by default, and not with ours."""
    default, ours = fronts.ask(Wish(pause=SILENCE))

    assert (200, 3, False) == _summary(default)[:3]
    assert (200, 6, True, "[DONE]") == _summary(ours)
    assert ours.came_one_by_one


def test_late_answer(fronts: Fronts) -> None:
    """An answer that starts after the default read timeout is a 504 by default, not with ours."""
    default, ours = fronts.ask(Wish(tokens=0, pause=SILENCE))

    assert (504, 200) == (default.status, ours.status)


def test_body(fronts: Fronts) -> None:
    """A request of 2 MiB is a 413 by default and passes with ours, which ends at 100 MiB."""
    assert 413 == fronts.default.status_of_size(2 * MIB)

    answer = fronts.ours.ask(Wish(tokens=0, padding=2 * MIB))
    assert (200, str(2 * MIB)) == (answer.status, answer.body)
    assert 413 == fronts.ours.status_of_size(100 * MIB + 1)


def _summary(answer: Answer) -> tuple[int, int, bool, str]:
    return answer.status, len(answer.arrived), answer.whole, answer.body


@pytest.fixture
def traefik(
    request: pytest.FixtureRequest, bed: Bed, namespace: str, server: int
) -> Iterator[Controller]:
    """Traefik before a model server, which it finds by our Ingress and Service."""
    strict = getattr(request, "param", False)
    try:
        with running(bed, namespace, server, strict=strict) as found:
            yield found
    except binaries.MissingError as missing:
        pytest.skip(str(missing))


@newest
def test_traefik_tokens(traefik: Controller) -> None:
    """Tokens pass Traefik one by one by the Ingress that we render, with TLS and without."""
    for answer in _at_once((traefik.plain, Wish()), (traefik.secure, Wish())):
        assert (200, 6, True, "[DONE]") == _summary(answer)
        assert answer.came_one_by_one


@newest
def test_traefik_pause(traefik: Controller) -> None:
    """Traefik needs no times from us: a pause or late answer above its read timeout passes."""
    streamed, late = _at_once(
        (traefik.plain, Wish(pause=SILENCE)),
        (traefik.plain, Wish(tokens=0, pause=SILENCE)),
    )

    assert (200, 6, True, "[DONE]") == _summary(streamed)
    assert (200, True) == (late.status, late.whole)
    # It is in force: a request whose body does not come in time is given up, in one way or another.
    assert traefik.plain.status_of_size(10) in (408, 499, 502, 504)


@newest
def test_traefik_body(traefik: Controller) -> None:
    """Traefik needs no size from us: a request of 2 MiB passes."""
    answer = traefik.plain.ask(Wish(tokens=0, padding=2 * MIB))

    assert (200, str(2 * MIB)) == (answer.status, answer.body)


@newest
def test_traefik_paths(traefik: Controller) -> None:
    """Only the API below /v1 is open, on our host and entry point: the rest is Traefik's 404."""
    paths = ["/v1", "/v1/models", "/metrics", "/health", "/tokenize", "/"]
    expected = {path: 200 if path in ("/v1", "/v1/models") else 404 for path in paths}

    assert expected == {path: traefik.plain.status(path) for path in paths}
    assert expected == {path: traefik.secure.status(path) for path in paths}
    for host in ("other.example.com", SECURE):
        assert 404 == replace(traefik.plain, host=host).status("/v1/models")


@newest
@pytest.mark.parametrize("traefik", [False, True], ids=["default", "strict"], indirect=True)
def test_traefik_prefix(traefik: Controller, request: pytest.FixtureRequest) -> None:
    """Traefik reads a path by its letters, so /v1beta passes too, until told to be strict."""
    strict = request.node.callspec.params["traefik"]

    assert (404 if strict else 200) == traefik.plain.status("/v1beta")


@newest
def test_traefik_class(kubectl: Kubectl, traefik: Controller) -> None:
    """Traefik serves our Ingress for its class: without that IngressClass it is a 404."""
    assert 200 == traefik.plain.status("/v1/models")

    kubectl.delete([CLASS])
    wait_for("the route to go", lambda: traefik.plain.status("/v1/models") == 404, 20)
    kubectl.apply([CLASS])
    wait_for("the route to come", lambda: traefik.plain.status("/v1/models") == 200, 20)
