"""Container: other containers of a pod, beside the engine or before it."""

import enum
import json
import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import ALL_RELEASES, validate
from vllm_constructs import (
    Container,
    EnvFromSource,
    EnvVarSource,
    GpuPodSpec,
    Kubernetes,
    PodSecurity,
    VllmConstructsError,
    Volume,
    WholeGpu,
)
from vllm_constructs.workloads import container

TMP = "/tmp"  # noqa: S108  # the path of a volume
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


class Word(enum.StrEnum):
    """A user's own names for words."""

    RUN = "run"


def proxy(**fields: Any) -> Container:
    """Return a small container with these fields."""
    return Container(**{"name": "proxy", "image": "envoyproxy/envoy:v1.34.1", **fields})


def pod(**fields: Any) -> GpuPodSpec:
    """Return a small pod with these fields."""
    return GpuPodSpec(**{"model": "gpt2", "gpu": WholeGpu("NVIDIA-L4"), **fields})


def problems(spec: strategies.Manifest, target: Kubernetes | None = None) -> list[str]:
    """Return what is wrong with the `spec` of a pod in the target and all later releases."""
    metadata = {"name": "qwen", "namespace": "llm"}
    found = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return validate(found, releases=strategies.covered(target or Kubernetes()))


def refused(fields: strategies.Manifest) -> list[str]:
    """Return why Kubernetes refuses a container with these fields."""
    spec = {"containers": [{"name": "x", "image": "x:1", **fields}]}
    return problems(spec, Kubernetes("1.37"))


def names_of(spec: strategies.Manifest, kind: str) -> list[str]:
    """Return the names of the containers of a kind, in their order."""
    return [one["name"] for one in spec.get(kind, [])]


def test_defaults() -> None:
    """A container asks for little, may do nothing, and leaves the rest to its image."""
    assert proxy().manifest(PodSecurity()) == {
        "name": "proxy",
        "image": "envoyproxy/envoy:v1.34.1",
        "resources": {
            "limits": {"memory": "256Mi"},
            "requests": {"cpu": "100m", "memory": "256Mi"},
        },
        "securityContext": SECURITY,
    }


def test_everything() -> None:
    """Every option reaches its field, and every release takes the container."""
    one = proxy(
        command=["envoy"],
        args=["-c", "/etc/envoy/envoy.yaml"],
        env={"LEVEL": "info", "POD": EnvVarSource.from_field("metadata.name")},
        env_from=[EnvFromSource.from_config_map("shared", prefix="SHARED_")],
        ports={"metrics": 9901, "admin": 9900},
        volumes={"/etc/envoy": Volume.from_config_map("envoy")},
        cpu=("200m", "1"),
        memory=("128Mi", "512Mi"),
        resources={"rdma/ib": 1, "hugepages-2Mi": "64Mi"},
        image_pull_policy="Always",
        working_dir="/srv",
    )
    found = one.manifest(PodSecurity())

    assert problems(pod(sidecars=[one]).manifest()) == []
    assert strategies.is_plain(found)
    assert found["command"] == ["envoy"]
    assert found["args"] == ["-c", "/etc/envoy/envoy.yaml"]
    assert found["env"] == [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LEVEL", "value": "info"},
    ]
    assert found["envFrom"] == [{"prefix": "SHARED_", "configMapRef": {"name": "shared"}}]
    assert found["ports"] == [
        {"name": "admin", "containerPort": 9900, "protocol": "TCP"},
        {"name": "metrics", "containerPort": 9901, "protocol": "TCP"},
    ]
    mount = {"name": "config-map-envoy", "mountPath": "/etc/envoy", "readOnly": True}
    assert found["volumeMounts"] == [mount]
    assert (found["imagePullPolicy"], found["workingDir"]) == ("Always", "/srv")
    extended = {"rdma/ib": "1", "hugepages-2Mi": "64Mi"}
    assert found["resources"] == {
        "limits": {"cpu": "1", "memory": "512Mi", **extended},
        "requests": {"cpu": "200m", "memory": "128Mi", **extended},
    }


@pytest.mark.parametrize(
    ("fields", "requests", "limits"),
    [
        ({"cpu": "2"}, {"cpu": "2", "memory": "256Mi"}, {"memory": "256Mi"}),
        ({"cpu": ("1", "1")}, {"cpu": "1", "memory": "256Mi"}, {"cpu": "1", "memory": "256Mi"}),
        ({"memory": "1Gi"}, {"cpu": "100m", "memory": "1Gi"}, {"memory": "1Gi"}),
        ({"memory": ("1Gi", "2Gi")}, {"cpu": "100m", "memory": "1Gi"}, {"memory": "2Gi"}),
    ],
)
def test_resources(
    fields: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    """One quantity of CPU is a request only; one of memory is the limit, too."""
    found = proxy(**fields).manifest(PodSecurity())["resources"]

    assert {"requests": requests, "limits": limits} == found


@pytest.mark.parametrize("release", ALL_RELEASES)
def test_sidecars(release: str) -> None:
    """Sidecars are native where the release has them, and then come before what needs them."""
    target = Kubernetes(release)
    spec = pod(
        sidecars=[proxy(), proxy(name="logs")],
        init_containers=[proxy(name="fetch"), proxy(name="check")],
    ).manifest(kubernetes=target)

    assert problems(spec, target) == []
    if target.minor >= 29:
        assert names_of(spec, "containers") == ["vllm"]
        assert names_of(spec, "initContainers") == ["proxy", "logs", "fetch", "check"]
        policies = [one.get("restartPolicy") for one in spec["initContainers"]]
        assert policies == ["Always", "Always", None, None]
    else:
        assert names_of(spec, "containers") == ["vllm", "proxy", "logs"]
        assert names_of(spec, "initContainers") == ["fetch", "check"]
        assert "restartPolicy" not in json.dumps(spec)


@pytest.mark.parametrize("release", ["1.28", "1.29"])
def test_alone(release: str) -> None:
    """A pod without other containers has the engine's only."""
    spec = pod().manifest(kubernetes=Kubernetes(release))

    assert names_of(spec, "containers") == ["vllm"]
    assert "initContainers" not in spec


@settings(max_examples=20, deadline=None)
@given(
    st.lists(strategies.names(), min_size=2, max_size=6, unique=True),
    st.integers(0, 6),
    strategies.kubernetes(),
)
def test_order(given_names: list[str], count: int, target: Kubernetes) -> None:
    """Every container is there once, each kind in the order in which it is given."""
    beside, before = given_names[:count], given_names[count:]
    spec = pod(
        sidecars=[proxy(name=name) for name in beside],
        init_containers=[proxy(name=name) for name in before],
    ).manifest(kubernetes=target)

    assert problems(spec, target) == []
    found = names_of(spec, "initContainers") + names_of(spec, "containers")
    assert [name for name in found if name in beside] == beside
    assert [name for name in found if name in before] == before
    assert sorted(found) == sorted([*given_names, "vllm"])


def test_shared_volume() -> None:
    """A volume that several containers mount is in the pod once."""
    scratch = Volume.from_empty_dir(size_limit="1Gi", name="scratch")
    spec = pod(
        volumes={"/in": scratch, "/etc/ca": Volume.from_config_map("ca")},
        sidecars=[proxy(volumes={"/out": scratch})],
        init_containers=[
            proxy(name="fetch", volumes={"/ca": Volume.from_config_map("ca"), TMP: scratch})
        ],
    ).manifest()
    engine, beside = spec["containers"]
    (before,) = spec["initContainers"]

    assert problems(spec) == []
    own = [one for one in spec["volumes"] if one["name"] in ("scratch", "config-map-ca")]
    assert own == [
        {"name": "config-map-ca", "configMap": {"name": "ca"}},
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
    ]
    assert {"name": "scratch", "mountPath": "/in"} in engine["volumeMounts"]
    assert beside["volumeMounts"] == [{"name": "scratch", "mountPath": "/out"}]
    assert before["volumeMounts"] == [
        {"name": "config-map-ca", "mountPath": "/ca", "readOnly": True},
        {"name": "scratch", "mountPath": TMP},
    ]


def test_paths() -> None:
    """Another container may mount a volume at a path at which the engine has one of its own."""
    at_cache = proxy(volumes={"/model-cache": Volume.from_claim("weights", read_only=True)})
    spec = pod(sidecars=[at_cache]).manifest()

    assert problems(spec) == []
    mount = {"name": "claim-weights", "mountPath": "/model-cache", "readOnly": True}
    assert spec["containers"][1]["volumeMounts"] == [mount]


@pytest.mark.parametrize(
    "security",
    [
        PodSecurity(),
        PodSecurity(user="root"),
        PodSecurity(user="platform"),
        PodSecurity(user="root", capabilities=["IPC_LOCK"]),
        PodSecurity(read_only_root=True),
    ],
)
def test_security(security: PodSecurity) -> None:
    """Every container may do what the engine may, and has no user of its own."""
    spec = pod(
        security=security, sidecars=[proxy()], init_containers=[proxy(name="fetch")]
    ).manifest()
    engine, beside = spec["containers"]
    (before,) = spec["initContainers"]

    assert problems(spec) == []
    assert engine["securityContext"] == beside["securityContext"] == before["securityContext"]
    assert not [key for key in beside["securityContext"] if key.startswith("runAs")]


def test_temporary_files() -> None:
    """With a read-only root file system, all containers share `/tmp`, unless one has its own."""
    own = Volume.from_empty_dir(name="own")
    spec = pod(
        security=PodSecurity(read_only_root=True),
        sidecars=[proxy(), proxy(name="logs", volumes={TMP: own})],
    ).manifest()

    assert problems(spec) == []
    found = [
        [one["name"] for one in each["volumeMounts"] if one["mountPath"] == TMP]
        for each in spec["containers"]
    ]
    assert found == [["tmp"], ["tmp"], ["own"]]
    assert "volumeMounts" not in proxy().manifest(PodSecurity())


@pytest.mark.parametrize(
    "sidecars",
    [
        [proxy(ports={"api": 8000})],
        [proxy(ports={"debug": 9999})],
        [proxy(ports={"other": 5678})],
        [proxy(ports={"a": 9901}), proxy(name="logs", ports={"b": 9901})],
    ],
)
def test_ports_of_pod(sidecars: list[Container]) -> None:
    """Containers that run at the same time have one address, so that each port is there once."""
    ports = {"debug": 5678}
    sentence = strategies.refusal(lambda: pod(ports=ports, sidecars=sidecars))

    assert "take another" in sentence
    # Those that have ended listen no more.
    assert problems(pod(ports=ports, init_containers=sidecars).manifest()) == []


@pytest.mark.parametrize(
    ("env_from", "value"),
    [((), "$$(OTHER) $(OWN)"), ((EnvFromSource.from_secret("more"),), "$(OTHER) $(OWN)")],
)
def test_variables(env_from: tuple[EnvFromSource, ...], value: str) -> None:
    """Only variables of the container are replaced, unless it has others that nobody knows."""
    one = proxy(env={"ALL": "$(OTHER) $(OWN)", "OWN": "1"}, env_from=env_from)

    assert one.manifest(PodSecurity())["env"] == [
        {"name": "OWN", "value": "1"},
        {"name": "ALL", "value": value},
    ]


def test_engine_does_not_share() -> None:
    """Variables of another container are no variables of the engine."""
    spec = pod(sidecars=[proxy(env={"LEVEL": "info"})], env={"MODE": "x"}).manifest()
    engine, beside = ([one["name"] for one in each["env"]] for each in spec["containers"])

    assert ("LEVEL" in engine, "MODE" in engine) == (False, True)
    assert beside == ["LEVEL"]


@settings(max_examples=100, deadline=None)
@given(st.text("abz09-A_", max_size=17), st.one_of(st.integers(-1, 2), st.integers(65533, 65538)))
def test_port(name: str, port: int) -> None:
    """A port is accepted exactly where Kubernetes takes it."""
    entry = {"name": name, "containerPort": port, "protocol": "TCP"}

    if refused({"ports": [entry]}):
        assert "Container.ports" in strategies.refusal(lambda: proxy(ports={name: port}))
    else:
        assert proxy(ports={name: port}).manifest(PodSecurity())["ports"] == [entry]


@settings(max_examples=100, deadline=None)
@given(st.text("ab0-.A_", max_size=5).flatmap(lambda text: st.sampled_from((text, text * 20))))
def test_name(name: str) -> None:
    """A name is accepted exactly where Kubernetes takes it."""
    if refused({"name": name}):
        assert "Container.name is " in strategies.refusal(lambda: proxy(name=name))
    else:
        assert proxy(name=name).manifest(PodSecurity())["name"] == name


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(("admin", "grpc", "metrics", "x")), st.integers(9000, 9003), max_size=4
    )
)
def test_ports(ports: dict[str, int]) -> None:
    """Ports are in the order of their names, and each number is there once."""
    if len({*ports.values()}) < len(ports):
        assert "has that name or number already" in (
            strategies.refusal(lambda: container.check_ports("ports", ports, {}))
        )
    else:
        found = container.check_ports("ports", strategies.shuffled(ports), {})
        assert list(found.items()) == sorted(ports.items())


@pytest.mark.parametrize("taken", [{"http": 8000}, {"other": 9100}])
def test_taken_ports(taken: dict[str, int]) -> None:
    """What the container has anyway cannot be taken, neither name nor number."""
    assert container.check_ports("ports", {"free": 9101}, taken) == {"free": 9101}
    for name, port in taken.items():
        for wanted in ({name: 9101}, {"free": port}):
            call = partial(container.check_ports, "ports", wanted, taken)
            sentence = strategies.refusal(call)
            assert sentence.endswith("has that name or number already; take another one.")


@pytest.mark.parametrize(
    ("given_resources", "expected"),
    [
        ({}, {}),
        ({"rdma/ib": 1, "intel.com/qat": "2"}, {"intel.com/qat": "2", "rdma/ib": "1"}),
        ({"rdma/ib": 100_000}, {"rdma/ib": "100000"}),
        ({"rdma/ib": "007"}, {"rdma/ib": "7"}),
        ({"vpc.amazonaws.com/efa": 4}, {"vpc.amazonaws.com/efa": "4"}),
        ({"hugepages-2Mi": "1.5Gi", "a/b": 1}, {"a/b": "1", "hugepages-2Mi": "1.5Gi"}),
    ],
)
def test_extended_resources(
    given_resources: dict[str, int | str], expected: dict[str, str]
) -> None:
    """Amounts become strings; request and limit are the same, as Kubernetes wants them."""
    found = container.check_resources("resources", given_resources)
    resources = proxy(resources=given_resources).manifest(PodSecurity())["resources"]

    assert list(found.items()) == list(expected.items())
    assert resources["limits"].items() >= found.items()
    assert resources["requests"].items() >= found.items()
    assert refused({"resources": resources}) == []


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=5))
def test_word(word: str) -> None:
    """A word of a command line stays as it is, empty or not."""
    assert container.check_words("command", [word]) == (word,)
    assert proxy(args=[word, word]).manifest(PodSecurity())["args"] == [word, word]


def test_word_kinds() -> None:
    """A word may have several lines, and a member of an enum stands for its value."""
    script = "set -e\n\texec envoy"

    assert container.check_words("command", [script]) == (script,)
    assert repr(container.check_words("command", [Word.RUN])) == "('run',)"


@pytest.mark.parametrize(
    "word",
    [
        "hf_abcdefghijklmnopqrstuvwxyz",
        "--token=hf_abcdefghijklmnopqrstuvwxyz",
        "sk-Secret-0123456789",
        "redis://user:hunter2@cache:6379",
    ],
)
@pytest.mark.parametrize("option", ["command", "args"])
def test_secrets(option: str, word: str) -> None:
    """A credential in a command line is rejected and never repeated."""
    sentence = strategies.refusal(lambda: proxy(**{option: ["run", word]}))

    assert sentence == (
        f"Container.{option} has a word that looks like a credential (not shown); "
        "give it as a variable from a Secret, and write $(NAME) in its place."
    )


def test_password_of_variable() -> None:
    """A password that is a variable is none in clear."""
    address = "redis://user:$(PASSWORD)@cache:6379"

    assert proxy(args=[address]).args == (address,)


def test_target() -> None:
    """A volume that the target does not have yet is rejected in every container."""
    weights = proxy(volumes={"/weights": Volume.from_image("models/qwen:1")})
    for kind in ("sidecars", "init_containers"):
        found = pod(**{kind: [weights]})
        newest = Kubernetes("1.35")
        call = partial(found.manifest, kubernetes=Kubernetes("1.34"))
        sentence = strategies.refusal(call)
        assert "is a volume of kind 'image', which Kubernetes has since 1.35" in sentence
        assert problems(found.manifest(kubernetes=newest), newest) == []


def test_check_containers() -> None:
    """Containers are kept in their order, and each has a name that the pod does not have yet."""
    one, two = proxy(), proxy(name="logs")

    assert container.check_containers("sidecars", [two, one], ["vllm"]) == (two, one)
    assert container.check_containers("sidecars", (), ["vllm"]) == ()
    for taken, containers in ((["proxy"], [one]), ([], [one, two, one])):
        call = partial(container.check_containers, "sidecars", containers, taken)
        sentence = strategies.refusal(call)
        assert "sidecars has a container 'proxy', and the pod has one of that name" in sentence


def test_copies() -> None:
    """A container keeps copies: what a user changes afterwards changes nothing."""
    given_: dict[str, Any] = {
        "command": ["envoy"],
        "args": ["-c"],
        "env": {"A": "b"},
        "env_from": [EnvFromSource.from_secret("more")],
        "ports": {"metrics": 9901},
        "volumes": {"/a": Volume.from_secret("ca")},
        "resources": {"rdma/ib": 1},
    }
    found = proxy(**given_)
    before = found.manifest(PodSecurity())

    for value in given_.values():
        value.clear()

    assert before == found.manifest(PodSecurity())
    assert found == deepcopy(found) == replace(found)
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301  # its own bytes


def test_frozen() -> None:
    """A container cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        proxy().name = "other"  # type: ignore[misc]  # the point
    found: Any = proxy(env={"A": "b"}).env
    with pytest.raises(TypeError, match="cannot be changed"):
        found["A"] = "c"


def test_references() -> None:
    """What a container refers to is known by the option in which it stands."""
    one = proxy(
        env={"KEY": EnvVarSource.from_secret("keys", key="a"), "PLAIN": "x"},
        env_from=[EnvFromSource.from_secret("more")],
        volumes={"/ca": Volume.from_secret("ca")},
    )
    found = [where for where, _ in pod(sidecars=[one]).references()]

    assert found == [
        "sidecars['proxy'].volumes['/ca']",
        "sidecars['proxy'].env['KEY']",
        "sidecars['proxy'].env_from",
    ]


def test_options() -> None:
    """Options are given by name, and name and image are required."""
    by_place: Any = Container
    with pytest.raises(VllmConstructsError):
        by_place("proxy", "envoy:1")
    with pytest.raises(VllmConstructsError, match="image"):
        by_place(name="proxy")


SECRET = Volume.from_secret("ca", name="shared")
OTHER = Volume.from_config_map("ca", name="shared")

REFUSED: list[tuple[strategies.Call, tuple[str, ...]]] = [
    (lambda: proxy(name="vllm"), ("Container.name is 'vllm'", "the engine", "another name")),
    (lambda: proxy(name="My_Proxy"), ("Container.name is 'My_Proxy'", "'my-proxy'")),
    (lambda: proxy(name=None), ("Container.name is None", "lower-case")),
    (lambda: proxy(image=""), ("Container.image is ''", "an image with a tag or digest")),
    (lambda: proxy(image=5), ("Container.image is 5",)),
    (lambda: proxy(command="sh -c x"), ("Container.command is 'sh -c x'", "a list of strings")),
    (lambda: proxy(args=[1]), ("Container.args is 1", "a list of strings")),
    (lambda: proxy(args=["a\0"]), ("Container.args is ", "without control characters")),
    (lambda: proxy(env={"A-B": "c"}), ("a key of Container.env is 'A-B'", "a variable of")),
    (lambda: proxy(env={"A": 1}), ("Container.env['A'] is 1", "quote numbers")),
    (lambda: proxy(env={"DB_PASSWORD": "x"}), ("Container.env['DB_PASSWORD']", "credential")),
    (
        lambda: proxy(env={"A": "$(B)", "B": "$(A)"}),
        ("Container.env has variables that refer to each other in a circle ('A', 'B')",),
    ),
    (lambda: proxy(env_from=["more"]), ("Container.env_from[0] is 'more'", "EnvFromSource")),
    (lambda: proxy(env_from=SECRET), ("Container.env_from is ", "a list of EnvFromSource")),
    (lambda: proxy(ports=[9901]), ("Container.ports is [9901]", "{'metrics': 9100}")),
    (lambda: proxy(ports={"a": "1"}), ("Container.ports['a'] is '1'", "write 1 without quotes")),
    (lambda: proxy(ports={"a": True}), ("Container.ports['a'] is True", "from 1 to 65535")),
    (lambda: proxy(ports={"a": 1, "b": 1}), ("Container.ports['b'] is 1", "take another one")),
    (lambda: proxy(ports={"9901": 1}), ("a key of Container.ports is '9901'", "one letter")),
    (lambda: proxy(volumes=["/a"]), ("Container.volumes is ['/a']", "a dict of paths")),
    (lambda: proxy(volumes={"a": SECRET}), ("a key of Container.volumes is 'a'", "an absolute")),
    (lambda: proxy(volumes={"/a": "ca"}), ("Container.volumes['/a'] is 'ca'", "Volume.from_")),
    (
        lambda: proxy(volumes={"/a": SECRET, "/a/": SECRET}),
        ("Container.volumes['/a/'] is a path at which something is mounted already",),
    ),
    (lambda: proxy(cpu=1), ("Container.cpu is 1", "write '1'")),
    (lambda: proxy(cpu=("2", "1")), ("Container.cpu has a request of '2' above its limit",)),
    (lambda: proxy(memory=1), ("Container.memory is 1", "write '1Gi'")),
    (lambda: proxy(memory="256MB"), ("Container.memory is '256MB'", "write '256Mi'")),
    (lambda: proxy(resources=["rdma/ib"]), ("Container.resources is ['rdma/ib']", "a dict")),
    (lambda: proxy(resources={"cpu": "1"}), ("is not an extended resource", "give cpu.")),
    (lambda: proxy(resources={"memory": "1Gi"}), ("Container.resources['memory']", "memory.")),
    (lambda: proxy(resources={"gpu": 1}), ("a key of Container.resources is 'gpu'", "rdma/ib")),
    (lambda: proxy(resources={1: 1}), ("a key of Container.resources is 1",)),
    (lambda: proxy(resources={"a/b": 0}), ("Container.resources['a/b'] is 0", "from 1 to")),
    (lambda: proxy(resources={"a/b": "1.5"}), ("Container.resources['a/b'] is '1.5'",)),
    (lambda: proxy(resources={"a/b": True}), ("Container.resources['a/b'] is True",)),
    (lambda: proxy(resources={"hugepages-2Mi": 2}), ("Container.resources['hugepages-2Mi']",)),
    (lambda: proxy(image_pull_policy="always"), ("'always'", "did you mean 'Always'?")),
    (lambda: proxy(working_dir=""), ("Container.working_dir is ''",)),
    (lambda: pod(sidecars=proxy()), ("sidecars is Container(", "a list of Container(...)")),
    (lambda: pod(sidecars=[{"name": "x"}]), ("sidecars[0] is {'name': 'x'}", "Container(...)")),
    (lambda: pod(init_containers="x"), ("init_containers is 'x'", "Container(...)")),
    (lambda: pod(sidecars=[proxy(), proxy()]), ("sidecars has a container 'proxy'",)),
    (
        lambda: pod(sidecars=[proxy()], init_containers=[proxy()]),
        ("init_containers has a container 'proxy'", "give one of them another name"),
    ),
    (
        lambda: pod(init_containers=[proxy(), proxy()]),
        ("init_containers has a container 'proxy'",),
    ),
    (
        lambda: pod(volumes={"/a": SECRET}, sidecars=[proxy(volumes={"/b": OTHER})]),
        ("sidecars['proxy'].volumes['/b'] is the volume 'shared'", "another Volume.name"),
    ),
    (
        lambda: pod(
            sidecars=[proxy(volumes={"/a": SECRET})],
            init_containers=[proxy(name="fetch", volumes={"/a": OTHER})],
        ),
        ("init_containers['fetch'].volumes['/a'] is the volume 'shared'",),
    ),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refusals(call: strategies.Call, words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(call)

    assert [word for word in words if word not in sentence] == [], sentence
