"""PodSecurity: the user of a pod's processes, and what they may do."""

import pickle
import warnings
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.support import pod_security_problems, validate
from vllm_constructs import (
    Container,
    EphemeralCache,
    ExistingClaim,
    GpuPodSpec,
    PodSecurity,
    VllmConstructsWarning,
    WholeGpu,
)
from vllm_constructs.kube.pod_security_standards import need_of

SHM, TMP = "/dev/shm", "/tmp"  # noqa: S108  # paths of volumes
SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
# Kubernetes docs, "Pod Security Standards", level "baseline".
BASELINE = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
PRIVILEGED = ("BPF", "IPC_LOCK", "NET_ADMIN", "NET_RAW", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE")
USERS = ("image", "platform", "root", 1, 1000, 2**31 - 1)


def secured(**fields: Any) -> PodSecurity:
    """Return a security with these fields, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VllmConstructsWarning)
        return PodSecurity(**fields)


def pod(security: PodSecurity | None = None, **fields: Any) -> GpuPodSpec:
    """Return a small pod with a container beside and one before the engine."""
    others = {
        "sidecars": [Container(name="proxy", image="envoy:1")],
        "init_containers": [Container(name="fetch", image="fetch:1")],
    }
    gpu = WholeGpu("NVIDIA-L4")
    return GpuPodSpec(model="gpt2", gpu=gpu, security=security, **{**others, **fields})


def spec_of(security: PodSecurity | None = None, **fields: Any) -> strategies.Manifest:
    """Return the `spec` of a small pod, which every release takes."""
    spec = pod(security, **fields).manifest()
    metadata = {"name": "qwen", "namespace": "llm"}
    assert validate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}) == []
    return spec


def level(security: PodSecurity) -> str:
    """Return the level that the pod needs."""
    return need_of(spec_of(security)).level


def containers(spec: strategies.Manifest) -> list[strategies.Manifest]:
    """Return all containers of a pod."""
    return [*spec["containers"], *spec["initContainers"]]


def variables(spec: strategies.Manifest) -> dict[str, str]:
    """Return the variables of the engine that have a value."""
    return {one["name"]: one["value"] for one in spec["containers"][0]["env"] if "value" in one}


def test_default() -> None:
    """Without options the pod is the user of vLLM's images, and may do nothing."""
    spec = spec_of()

    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 2000,
        "runAsGroup": 0,
        "fsGroup": 0,
        "fsGroupChangePolicy": "OnRootMismatch",
        **SECCOMP,
    }
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert [one["securityContext"] for one in containers(spec)] == [own] * 3
    assert spec == spec_of(PodSecurity()) == spec_of(PodSecurity(user="image", group=0))
    assert pod_security_problems(spec) == []


@pytest.mark.parametrize(
    ("security", "user", "group"),
    [
        (PodSecurity(group=1000), 2000, 1000),
        (PodSecurity(user=1000), 1000, 0),
        (PodSecurity(user=1000, group=2000), 1000, 2000),
        (PodSecurity(user=2**31 - 1, group=2**31 - 1), 2**31 - 1, 2**31 - 1),
    ],
)
def test_numbers(security: PodSecurity, user: int, group: int) -> None:
    """A user of one's own has the image's group, unless another one is given for all volumes."""
    context = spec_of(security)["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (user, group, group)
    assert context["runAsNonRoot"] is True
    assert level(security) == "restricted"


def test_root() -> None:
    """Root is asked for in clear, and breaks no other rule of the level "restricted"."""
    security = PodSecurity(user="root")
    spec = spec_of(security)

    assert spec["securityContext"] == {"runAsUser": 0, **SECCOMP}
    assert (security.is_root, level(security)) == (True, "baseline")
    problems = pod_security_problems(spec)
    assert len(problems) == 1 + len(containers(spec))
    assert all("runAs" in problem for problem in problems), problems
    assert "HOME" not in variables(spec)


@pytest.mark.parametrize(
    "security",
    [
        PodSecurity(user="platform"),
        PodSecurity(user="platform", read_only_root=True),
        secured(user="platform", capabilities=["NET_BIND_SERVICE"]),
    ],
)
@pytest.mark.parametrize("cache", [EphemeralCache(), ExistingClaim("weights")])
def test_openshift(security: PodSecurity, cache: Any) -> None:
    """With the platform's user, OpenShift's `restricted-v2` admits the pod as it is."""
    spec = spec_of(security, cache=cache)
    contexts = [spec["securityContext"], *(one["securityContext"] for one in containers(spec))]

    # They are taken from the range of the namespace; values outside of it are rejected.
    ids = {"runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy", "supplementalGroups"}
    assert [ids & set(context) for context in contexts] == [set()] * 4
    assert spec["securityContext"] == {"runAsNonRoot": True, **SECCOMP}
    for context in contexts[1:]:
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert set(context["capabilities"].get("add", [])) <= {"NET_BIND_SERVICE"}
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    assert pod_security_problems(spec) == []
    assert level(security) == "restricted"


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        secured,
        user=st.sampled_from(USERS),
        capabilities=st.lists(st.sampled_from((*BASELINE, *PRIVILEGED)), max_size=3),
        read_only_root=st.booleans(),
    )
)
def test_level(security: PodSecurity) -> None:
    """The level is "restricted" exactly where the rules of Pod Security find no fault."""
    problems = pod_security_problems(pod(security).manifest())

    assert (level(security) == "restricted") == (problems == [])
    added = [one for one in problems if "capabilities.add" in one]
    assert bool(added) == bool({*security.capabilities} - {"NET_BIND_SERVICE"})


@pytest.mark.parametrize("capability", [*BASELINE, *PRIVILEGED, "ALL"])
@pytest.mark.parametrize("user", ["image", "root"])
def test_level_of_capability(capability: str, user: Any) -> None:
    """What "baseline" does not list needs "privileged", whatever else is added."""
    alone = secured(user=user, capabilities=[capability])
    beside = secured(user=user, capabilities=["CHOWN", capability, "NET_BIND_SERVICE"])

    assert spec_of(alone)["securityContext"] == spec_of(PodSecurity(user=user))["securityContext"]
    assert (level(alone) == "privileged") == (capability not in BASELINE)
    assert level(beside) == ("baseline" if capability in BASELINE else "privileged")
    assert (level(alone) == "restricted") == (
        capability == "NET_BIND_SERVICE" and not alone.is_root
    )


def test_capabilities() -> None:
    """Capabilities are sorted, each once, in every container; all others stay dropped."""
    spec = spec_of(PodSecurity(user="root", capabilities=["SYS_NICE", "IPC_LOCK", "SYS_NICE"]))

    expected = {"drop": ["ALL"], "add": ["IPC_LOCK", "SYS_NICE"]}
    found = [one["securityContext"]["capabilities"] for one in containers(spec)]
    assert found == [expected] * 3


@pytest.mark.parametrize("user", USERS)
def test_capabilities_of_user(user: Any) -> None:
    """Kubernetes gives added capabilities to processes of root only, which others are told."""
    if user == "root":
        assert PodSecurity(user=user, capabilities=["IPC_LOCK"])
    else:
        with pytest.warns(VllmConstructsWarning, match="is IPC_LOCK, which only processes of root"):
            PodSecurity(user=user, capabilities=["IPC_LOCK"])
    assert PodSecurity(user=user, capabilities=[])


@pytest.mark.parametrize("user", USERS)
def test_read_only(user: Any) -> None:
    """With a read-only root file system, the engine writes to volumes only."""
    spec = spec_of(PodSecurity(user=user, read_only_root=True))
    mounts = {one["mountPath"]: one["name"] for one in spec["containers"][0]["volumeMounts"]}
    volumes = {one["name"]: one for one in spec["volumes"]}

    assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in containers(spec))
    # Root's home is that of the image, which sets no HOME.
    home = variables(spec).get("HOME", "/root")
    assert home == ("/root" if user == "root" else "/home/vllm")
    assert set(mounts) == {SHM, "/model-cache", TMP, home}
    for path in (home, TMP):
        assert volumes[mounts[path]] == {"name": mounts[path], "emptyDir": {}}
    assert not any(one.get("readOnly") for one in spec["containers"][0]["volumeMounts"])


@pytest.mark.parametrize("user", USERS)
def test_writable(user: Any) -> None:
    """Without it, only the home of a user that is not root is a volume."""
    spec = spec_of(PodSecurity(user=user))
    paths = [one["mountPath"] for one in spec["containers"][0]["volumeMounts"]]

    assert not any("readOnlyRootFilesystem" in one["securityContext"] for one in containers(spec))
    home = [] if user == "root" else [variables(spec)["HOME"]]
    assert paths == [SHM, "/model-cache", *home]


def test_copies() -> None:
    """A value keeps copies, and each manifest is a new one."""
    capabilities = ["SYS_NICE"]
    found = PodSecurity(user="root", capabilities=capabilities)
    capabilities.clear()

    assert tuple(found.capabilities) == ("SYS_NICE",)
    assert found == deepcopy(found) == replace(found)
    assert found == pickle.loads(pickle.dumps(found))  # noqa: S301  # its own bytes
    found.of_container()["capabilities"]["add"].clear()
    assert found.of_container()["capabilities"]["add"] == ["SYS_NICE"]
    one, other = ["KILL", "CHOWN"], ("CHOWN", "KILL", "KILL")
    assert secured(capabilities=one) == secured(capabilities=other)


def test_frozen() -> None:
    """A value cannot be changed after it was checked."""
    with pytest.raises(FrozenInstanceError):
        PodSecurity().user = "root"  # type: ignore[misc]  # the point


REFUSED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"user": "Root"}, ("PodSecurity.user is 'Root'", "did you mean 'root'?")),
    ({"user": "vllm"}, ("PodSecurity.user is 'vllm'", "'image', 'platform', 'root'")),
    ({"user": 0}, ("PodSecurity.user is 0", "a user id above 0", "give 'root' for 0")),
    ({"user": -1}, ("PodSecurity.user is -1", "from 1 to 2147483647")),
    ({"user": 2**31}, ("PodSecurity.user is 2147483648",)),
    ({"user": True}, ("PodSecurity.user is True", "an integer")),
    ({"user": False}, ("PodSecurity.user is False", "an integer")),
    ({"user": 1000.0}, ("PodSecurity.user is 1000.0", "an integer")),
    ({"user": [1000]}, ("PodSecurity.user is [1000]", "an integer")),
    ({"group": -1}, ("PodSecurity.group is -1", "from 0 to 2147483647")),
    ({"group": "0"}, ("PodSecurity.group is '0'", "write 0 without quotes")),
    ({"user": 1000, "group": True}, ("PodSecurity.group is True",)),
    (
        {"user": "root", "group": 0},
        ("PodSecurity.group is 0, but user='root' leaves the group to the image", "leave it out"),
    ),
    (
        {"user": "platform", "group": 1000},
        ("PodSecurity.group is 1000, but user='platform' leaves the group to the platform",),
    ),
    ({"capabilities": "IPC_LOCK"}, ("PodSecurity.capabilities is 'IPC_LOCK'", "a list of")),
    ({"capabilities": ["ipc_lock"]}, ("PodSecurity.capabilities is 'ipc_lock'", "'IPC_LOCK'")),
    ({"capabilities": ["CAP_NET_RAW"]}, ("is 'CAP_NET_RAW'", "write 'NET_RAW'.")),
    ({"capabilities": ["cap_net_raw"]}, ("is 'cap_net_raw'", "write 'NET_RAW'.")),
    ({"capabilities": [7]}, ("PodSecurity.capabilities is 7", "a list of capabilities")),
    ({"capabilities": ["NET RAW"]}, ("PodSecurity.capabilities is 'NET RAW'",)),
    ({"read_only_root": "yes"}, ("PodSecurity.read_only_root is 'yes'", "True or False")),
    ({"read_only_root": None}, ("PodSecurity.read_only_root is None", "True or False")),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_refusals(fields: dict[str, Any], words: tuple[str, ...]) -> None:
    """What cannot work is rejected with the value, what is allowed and the way out."""
    sentence = strategies.refusal(lambda: PodSecurity(**fields))

    assert [word for word in words if word not in sentence] == [], sentence
