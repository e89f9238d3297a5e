"""Rules of what pods may do, and as whom: what is found, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from vllm_constructs.rules.rule import Finding

from .findings import found, ids, sentences
from .odd_values import check_odd_values
from .pods import deployment, group, pod_spec

TIGHT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
USER = {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}}
HOME = {"env": [{"name": "HOME", "value": "/home/vllm"}]}
LMCACHE = {"name": "lmcache", "image": "lmcache/lmcache:v0.5.6"}


def engine(pod: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    """A Deployment of an engine with these fields of its pod and container."""
    return deployment(pod_spec(container=container, **(pod or {})))


def kserve(container: dict[str, Any], **pod: Any) -> dict[str, Any]:
    """An InferenceService, whose pod an operator completes."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "qwen"},
        "spec": {"predictor": pod_spec(container=container, **pod)},
    }


class TestPrivileges:
    """H02."""

    @pytest.mark.parametrize(
        ("pod", "container", "words"),
        [
            ({}, {}, "root, privilege escalation, capabilities and all system calls"),
            (USER, {}, "allows privilege escalation and capabilities,"),
            (USER | {"runAsUser": 0}, TIGHT, "allows root,"),
            (USER | {"runAsNonRoot": False}, TIGHT, "allows root,"),
            (USER, {**TIGHT, "runAsUser": 0}, "allows root,"),
            ({**USER, "seccompProfile": {"type": "Unconfined"}}, TIGHT, "all system calls"),
            ({"runAsNonRoot": True}, TIGHT, "all system calls"),
            (USER, {**TIGHT, "capabilities": {"drop": ["NET_RAW"]}}, "allows capabilities,"),
            (USER, {"capabilities": {"drop": ["ALL"]}}, "allows privilege escalation,"),
        ],
    )
    def test_bad(self, pod: dict[str, Any], container: dict[str, Any], words: str) -> None:
        """One finding names all that is allowed."""
        manifest = engine({"securityContext": pod}, securityContext=container)
        (sentence,) = sentences([manifest], "H02")
        assert words in sentence

    @pytest.mark.parametrize(
        ("pod", "container"),
        [
            (USER, TIGHT),
            # A number that is not root's says it all.
            ({"runAsUser": 1000, "seccompProfile": {"type": "Localhost"}}, TIGHT),
            # The platform chooses the number.
            ({"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, TIGHT),
            ({}, {**TIGHT, **USER}),
            # Locked memory, which only processes of root have in effect.
            (
                {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}},
                {**TIGHT, "capabilities": {"drop": ["ALL"], "add": ["IPC_LOCK"]}},
            ),
            # H04 says it.
            ({}, {"privileged": True}),
        ],
    )
    def test_good(self, pod: dict[str, Any], container: dict[str, Any]) -> None:
        """What vLLM needs, and not more."""
        manifest = engine({"securityContext": pod}, securityContext=container)
        assert [] == sentences([manifest], "H02")

    def test_tpu(self) -> None:
        """On TPUs only root opens the devices."""
        seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
        limits = {"limits": {"google.com/tpu": 8}}
        good = engine({"securityContext": seccomp}, securityContext=TIGHT, resources=limits)
        assert [] == sentences([good], "H02")
        assert ["H02"] == ids([engine({"securityContext": seccomp}, resources=limits)], "H02")

    def test_user_namespace(self) -> None:
        """Root of a pod with users of its own is nobody on the node."""
        seccomp = {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}
        pod = {"hostUsers": False, "securityContext": seccomp}
        assert [] == sentences([engine(pod, securityContext=TIGHT)], "H02")

    def test_partial(self) -> None:
        """What an operator may add is not missed; what is said counts."""
        assert [] == sentences([kserve({})], "H02")
        (one,) = found([kserve({"securityContext": {"runAsUser": 0}})], "H02")
        assert ("spec", "predictor", "containers", 0, "securityContext", "runAsUser") == one.path
        (sentence,) = sentences([kserve({}, securityContext={"runAsNonRoot": False})], "H02")
        assert "allows root, which" in sentence

    def test_pods(self) -> None:
        """One finding a pod names the other containers; pods without vLLM are not asked."""
        spec = pod_spec(container={"securityContext": TIGHT}, securityContext=USER)
        spec["containers"].append(LMCACHE)
        (one,) = found([deployment(spec)], "H02")
        assert ("containers", 1) == one.path[3:5]
        spec["initContainers"] = [{"name": "fetch", "image": "busybox:1"}]
        spec["containers"][0]["securityContext"] = {}
        (sentence,) = sentences([deployment(spec)], "H02")
        assert "(so does that of 'lmcache' and 'fetch')" in sentence
        assert [] == ids([deployment({"containers": [LMCACHE]})], "H02")
        leader = pod_spec()
        worker = {"containers": [{"name": "ray", "image": "x/vllm:1", "command": ["ray", "start"]}]}
        assert 2 == len(found([group(leader, worker)], "H02"))

    def test_path(self) -> None:
        """The path is the field that is wrong, or where it belongs."""
        (one,) = found([engine(securityContext={"runAsUser": 0})], "H02")
        assert ("containers", 0, "securityContext", "runAsUser") == one.path[-4:]
        (one,) = found([engine({"securityContext": {"runAsUser": 2000}})], "H02")
        path = ("containers", 0, "securityContext", "allowPrivilegeEscalation")
        assert path == one.path[-4:]

    def test_fix(self) -> None:
        """What is shown closes all but the user, and keeps what is there."""
        (one,) = found([engine(securityContext={"readOnlyRootFilesystem": True})], "H02")
        assert one.fix is not None
        assert not one.fix.is_safe
        container, pod = one.fix.edits
        assert {"readOnlyRootFilesystem": True, **TIGHT} == container.value
        assert {"seccompProfile": {"type": "RuntimeDefault"}} == pod.value


class TestFolders:
    """H03."""

    def engine(self, user: Any = 2000, **container: Any) -> dict[str, Any]:
        """An engine of a user."""
        context = {"runAsNonRoot": True} if user is None else {"runAsUser": user}
        return engine({"securityContext": context}, **container)

    def level(self, manifest: dict[str, Any]) -> str:
        """The level of the one finding."""
        (one,) = found([manifest], "H03")
        return one.level

    @pytest.mark.parametrize(
        "container",
        [
            {"volumeMounts": [{"name": "c", "mountPath": "/root/.cache/huggingface"}]},
            {"volumeMounts": [{"name": "c", "mountPath": "/root/.cache/vllm/"}]},
            {"env": [{"name": "HF_HOME", "value": "/root/.cache/huggingface"}]},
            {"env": [{"name": "HOME", "value": "/root"}]},
            {"env": [{"name": "VLLM_CACHE_ROOT", "value": "/root/cache"}]},
            {"args": ["a/b", "--download-dir", "/root/models"]},
            {"args": ["a/b", "--download-dir=/root/models"]},
            {"args": ["a/b", "--download_dir=/root/models"]},
        ],
    )
    def test_below_root(self, container: dict[str, Any]) -> None:
        """A folder below `/root`, whoever the user is."""
        (sentence,) = sentences([self.engine(**container)], "H03")
        assert "which user 2000 cannot enter" in sentence
        assert [] == sentences([engine(**container)], "H03")
        assert [] == sentences([self.engine(0, **container)], "H03")

    def test_platform(self) -> None:
        """A user that the platform chooses is not root either."""
        mounts = [{"name": "c", "mountPath": "/root/.cache"}]
        (sentence,) = sentences([self.engine(None, volumeMounts=mounts, **HOME)], "H03")
        assert "which the user, who is not root, cannot enter" in sentence

    def test_foreign_image(self) -> None:
        """An image of somebody else may have opened it."""
        mounts = [{"name": "c", "mountPath": "/root/.cache"}]
        assert "error" == self.level(self.engine(volumeMounts=mounts))
        own = self.engine(volumeMounts=mounts, image="registry.example.com/llm/vllm-own:1.2")
        own["spec"]["template"]["spec"]["containers"][0]["command"] = ["vllm", "serve"]
        assert "warning" == self.level(own)

    def test_home_of_root(self) -> None:
        """A volume at `/root` itself belongs to the pod's group."""
        mounts = [
            {"name": "h", "mountPath": "/root"},
            {"name": "c", "mountPath": "/root/.cache/huggingface"},
        ]
        env = [{"name": "HOME", "value": "/root"}]
        assert [] == sentences([self.engine(1000, volumeMounts=mounts, env=env)], "H03")

    @pytest.mark.parametrize(
        ("user", "container"),
        [
            (1000, {}),
            (None, {}),
            (1000, {"env": [{"name": "HF_HOME", "value": "/data"}]}),
            (1000, {"command": ["vllm", "serve"]}),
            (1000, {"command": ["sh", "-c", "exec vllm serve a/b"], "args": []}),
            (2000, {"image": "vllm/vllm-openai:v0.20.2"}),
            (2000, {"image": "vllm/vllm-openai-rocm:v0.33.0"}),
        ],
    )
    def test_without_home(self, user: Any, container: dict[str, Any]) -> None:
        """A user whom the image does not know."""
        (one,) = found([self.engine(user, **container)], "H03")
        assert "error" == one.level
        assert "the variable HOME is not set" in one.problem.sentence()

    @pytest.mark.parametrize(
        ("user", "container"),
        [
            (1000, HOME),
            # The CUDA image has this user, with a home.
            (2000, {}),
            (1000, {"env": [{"name": "HOME", "valueFrom": {"fieldRef": {}}}]}),
            (1000, {"env": [{"name": "XDG_CACHE_HOME", "value": "/data/cache"}]}),
            (
                1000,
                {
                    "env": [
                        {"name": "HF_HOME", "value": "/data/hf"},
                        {"name": "VLLM_CACHE_ROOT", "value": "/data/vllm"},
                    ]
                },
            ),
            # Volumes where a user without a home writes.
            (1000, {"volumeMounts": [{"name": "c", "mountPath": "/.cache"}]}),
            # Variables from elsewhere.
            (1000, {"envFrom": [{"configMapRef": {"name": "elsewhere"}}]}),
            (1000, {"envFrom": [{"secretRef": {"name": "elsewhere"}}]}),
            (1000, {"command": ["sh", "-c", "export HOME=/tmp; vllm serve a/b"], "args": []}),
            # The image's own program for users without a name.
            (1000, {"command": ["/usr/local/bin/vllm-nonroot-entrypoint.sh", "vllm", "serve"]}),
            # What an image of somebody else has is not known.
            (1000, {"image": "ghcr.io/llm-d/llm-d-cuda:v0.9.0", "command": ["vllm", "serve"]}),
            (0, {}),
            ("1000", {}),
        ],
    )
    def test_home(self, user: Any, container: dict[str, Any]) -> None:
        """A home, or what may be one."""
        assert [] == sentences([self.engine(user, **container)], "H03")

    def test_home_from_config(self) -> None:
        """A ConfigMap of the manifests tells whether it has a HOME."""
        manifest = self.engine(1000, envFrom=[{"configMapRef": {"name": "env"}}])
        config: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
        config["metadata"] = {"name": "env", "namespace": "llm"}
        assert ["H03"] == ids([manifest, config | {"data": {"A": "b"}}], "H03")
        assert [] == ids([manifest, config | {"data": {"HOME": "/data"}}], "H03")

    def test_user_without_home(self) -> None:
        """USER without HOME is half of what a user without a name needs."""
        env = [{"name": "USER", "value": "vllm"}]
        assert "warning" == self.level(self.engine(env=env))
        assert "error" == self.level(self.engine(1000, env=env))


class TestNamespaces:
    """H04."""

    @pytest.mark.parametrize("field", ["hostIPC", "hostPID", "hostNetwork"])
    def test_bad(self, field: str) -> None:
        """A namespace of the node, in any kind of workload."""
        spec = {**pod_spec(), field: True}
        for manifest in (deployment(spec), group(spec, {"containers": []}), group(None, spec)):
            one = self.one(manifest)
            assert field == one.path[-1]
            assert "error" == one.level
            assert one.fix is not None
            assert not one.fix.is_safe

    def one(self, manifest: dict[str, Any]) -> Finding:
        """The one finding."""
        (one,) = found([manifest], "H04")
        return one

    def test_privileged(self) -> None:
        """A privileged container of the pod, the engine or another one."""
        assert "privileged" == self.one(engine(securityContext={"privileged": True})).path[-1]
        tune = {"name": "tune", "image": "busybox:1", "securityContext": {"privileged": True}}
        one = self.one(engine({"initContainers": [tune]}))
        assert ("initContainers", 0, "securityContext", "privileged") == one.path[-4:]
        refused = {"privileged": True, "allowPrivilegeEscalation": False}
        assert "rejected" in self.one(engine(securityContext=refused)).problem.sentence()

    def test_good(self) -> None:
        """Fields that are false, and the node's own daemons."""
        off = dict.fromkeys(("hostIPC", "hostPID", "hostNetwork"), False)
        assert [] == sentences([engine(off, securityContext={"privileged": False})], "H04")
        plugin = {"name": "plugin", "image": "x/y:1", "securityContext": {"privileged": True}}
        daemons = deployment({"hostPID": True, "hostNetwork": True, "containers": [plugin]})
        assert [] == sentences([daemons | {"kind": "DaemonSet"}], "H04")


def test_odd_values() -> None:
    """No value of any type raises."""
    mounts = [{"name": "c", "mountPath": "/root/.cache"}]
    env = [{"name": "HF_HOME", "value": "/root"}, {"name": "USER", "value": "x"}]
    context = {**TIGHT, "capabilities": {"drop": ["ALL"], "add": ["X"]}, "privileged": False}
    manifest = engine(
        {"securityContext": USER | {"runAsUser": 1000}, "hostIPC": True},
        securityContext=context,
        env=env,
        envFrom=[{"configMapRef": {"name": "x"}}],
        volumeMounts=mounts,
    )
    check_odd_values([manifest], "H02", "H03", "H04")
