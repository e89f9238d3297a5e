from typing import Any

import pytest

from vllm_constructs import EngineArgs, WholeGpu
from vllm_constructs.reading import workloads as rendered
from vllm_constructs.reading.workloads import Rendered

PRODUCT = "nvidia.com/gpu.product"


def deployment(*args: str, **own: Any) -> dict[str, Any]:
    """A Deployment of vLLM on one L40S, with more or other fields of its container."""
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "args": ["a/b", *args],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    } | own
    inside = {"nodeSelector": {PRODUCT: "NVIDIA-L40S"}, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "qwen", "namespace": "llm"},
        "spec": {"template": {"spec": inside}},
    }


def scaler(kind: str, target: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A scaler of the Deployment."""
    named = {"name": "qwen", "kind": "Deployment"} if target is None else target
    return {
        "kind": kind,
        "metadata": {"name": "s", "namespace": "llm"},
        "spec": {"scaleTargetRef": named} | spec,
    }


def only(*objects: dict[str, Any]) -> Rendered:
    """The only model among objects."""
    (found,) = rendered.models(list(objects))
    return found


def on(resource: str, product: str | None, *args: str, count: str = "1") -> Rendered:
    """A model with another resource or label."""
    labels = {} if product is None else {PRODUCT: product}
    found = deployment(*args, resources={"limits": {resource: count, "cpu": "8"}})
    found["spec"]["template"]["spec"]["nodeSelector"] = labels
    return only(found)


class TestModel:
    """What a Deployment says."""

    def test_facts(self) -> None:
        """Name, model, image, flags and GPU are as in the manifest."""
        found = only(deployment("--max-model-len=4096"))
        assert ("llm/qwen", "a/b", "vllm/vllm-openai:v0.33.0") == (
            found.called,
            found.model,
            found.image,
        )
        assert EngineArgs(max_model_len=4096, tensor_parallel_size=1) == found.engine
        assert WholeGpu("NVIDIA-L40S") == found.gpu
        assert ("", "", ()) == (found.problem, found.refusal, found.notes)

    def test_others(self) -> None:
        """What runs no vLLM is no model."""
        other = deployment(image="nginx:1", args=[])
        command = deployment(command=["sleep"], args=["1"])
        assert [] == rendered.models([other, command, {"kind": "Service"}, {"kind": "Deployment"}])

    def test_variables(self) -> None:
        """Variables of the container are put in, from ConfigMaps of the manifests too."""
        config = {
            "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "llm"},
            "data": {"LENGTH": "4096", "NAME": "x/y"},
        }
        found = only(
            config,
            deployment(
                "--max-model-len=$(LENGTH)",
                "--max-num-seqs=$(SEQS)",
                "--dtype=$(DTYPE)",
                envFrom=[{"configMapRef": {"name": "c"}}],
                env=[
                    {"name": "SEQS", "value": "7"},
                    {
                        "name": "DTYPE",
                        "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
                    },
                ],
            ),
        )
        assert found.engine is not None
        assert (4096, 7) == (found.engine.max_model_len, found.engine.max_num_seqs)
        assert "--dtype is '$(DTYPE)', and its value is in none of the manifests." == found.problem

    def test_variable_that_does_not_matter(self) -> None:
        """A variable that a plan does not need is only said."""
        found = only(deployment("--revision=$(COMMIT)"))
        (note,) = found.notes
        assert ("", True) == (found.problem, "--revision is '$(COMMIT)'" in note)

    def test_config_file(self) -> None:
        """Flags in a mounted ConfigMap count, and the command line goes before them."""
        model = deployment("--config", "/etc/vllm/engine.yaml", "--max-num-seqs=7")
        inside = model["spec"]["template"]["spec"]
        inside["volumes"] = [{"name": "v", "configMap": {"name": "c"}}]
        inside["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/etc/vllm"}]
        text = "max-num-seqs: 9\nmax-model-len: 4096\n"
        config = {
            "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "llm"},
            "data": {"engine.yaml": text},
        }
        found = only(model, config)
        assert found.engine is not None
        assert (4096, 7) == (found.engine.max_model_len, found.engine.max_num_seqs)
        assert "the flags in /etc/vllm/engine.yaml are in none of the manifests." == (
            only(model).problem
        )

    def test_bad_flag(self) -> None:
        """A flag that vLLM refuses is said."""
        assert "--gpu-memory-utilization is 90" in (
            only(deployment("--gpu-memory-utilization=90")).refusal
        )

    def test_refusals(self) -> None:
        """The vLLM in the image decides which flags it starts with."""
        old = only(deployment("--swap-space=4", image="vllm/vllm-openai:v0.12.0"))
        assert ("", (), "0.12.0") == (old.refusal, old.notes, old.release.said)
        new = only(deployment("--swap-space=4", "--task=embed"))
        assert "'swap-space', which vLLM 0.33.0 no longer has" in new.refusal
        (note,) = new.notes
        assert "'task', which vLLM 0.33.0 no longer has" in note
        assert EngineArgs(tensor_parallel_size=1) == new.engine

    @pytest.mark.parametrize("image", ["mine/vllm", "mine/vllm:1", ":", ""])
    def test_unknown_release(self, image: str) -> None:
        """Where the image does not say its vLLM, nothing is refused for its sake."""
        command = {"image": image, "command": ["vllm", "serve"]}
        found = only(deployment("--swap-space=4", **command))
        said, refused = found.notes
        assert ("", "") == (found.refusal, found.problem)
        assert "'swap-space'" in refused
        assert said == (f"{image!r} does not say which vLLM it has; it is judged as vLLM 0.33.0.")
        wrong = only(deployment("--enable-auto-tool-choice", **command))
        assert "without --tool-call-parser" in wrong.problem
        assert wrong.engine is None

    def test_unnamed(self) -> None:
        """Without a model in the manifest there is no plan."""
        assert "the manifest does not name the model." == only(deployment(args=[])).problem


class TestGpu:
    """What a pod gets."""

    def test_facts(self) -> None:
        """Resource and node label together say which GPU it is."""
        found = on("nvidia.com/gpu", "NVIDIA-L4", count="2")
        assert ("2 x NVIDIA-L4", "NVIDIA-L4", 2) == (found.gpu_text, found.kind, found.pod_gpus)
        assert on("nvidia.com/gpu", None).problem.startswith(f"no node label {PRODUCT}")

    def test_share(self) -> None:
        """A share is planned by the part that vLLM asks for, which is said."""
        found = on("nvidia.com/gpu", "NVIDIA-L4-SHARED", "--gpu-memory-utilization=0.22")
        assert WholeGpu("NVIDIA-L4") == found.gpu
        (note,) = found.notes
        assert "planned is the part that --gpu-memory-utilization asks for" in note

    def test_unused(self) -> None:
        """Without a size vLLM takes one GPU, and the others are said to be idle."""
        found = on("nvidia.com/gpu", "NVIDIA-L4", count="4")
        assert WholeGpu("NVIDIA-L4") == found.gpu
        assert 4 == found.pod_gpus
        assert ("vLLM is told to use 1 of the pod's 4 GPUs.",) == found.notes

    @pytest.mark.parametrize("image", ["vllm/vllm-openai:v0.33.0", "mine/vllm:1"])
    def test_too_few(self, image: str) -> None:
        """More GPUs than the pod has are a refusal, whatever the vLLM."""
        sizes = ["serve", "a/b", "-tp", "2", "-pp", "2"]
        limits = {"limits": {"nvidia.com/gpu": "2"}}
        found = only(deployment(command=["vllm"], args=sizes, image=image, resources=limits))
        assert found.refusal == (
            "vLLM is told to use 4 GPUs (tensor 2 x pipeline 2 x data 1), but the pod has 2."
        )


class TestReplicas:
    """How many pods there are."""

    @pytest.mark.parametrize(
        ("scalers", "expected"),
        [
            ([], (3, 3)),
            ([scaler("HorizontalPodAutoscaler", minReplicas=2, maxReplicas=5)], (2, 5)),
            ([scaler("HorizontalPodAutoscaler", maxReplicas=5)], (1, 5)),
            ([scaler("ScaledObject", minReplicaCount=2, maxReplicaCount=9)], (2, 9)),
            ([scaler("ScaledObject")], (0, 100)),
            ([scaler("ScaledObject", {"name": "qwen"}, maxReplicaCount=9)], (0, 9)),
            ([scaler("ScaledObject", {"name": "other"}, maxReplicaCount=9)], (3, 3)),
            ([scaler("ScaledObject", {"name": "qwen", "kind": "StatefulSet"})], (3, 3)),
        ],
    )
    def test_range(self, scalers: list[dict[str, Any]], expected: tuple[int, int]) -> None:
        """The scaler of the Deployment decides, with the defaults of its kind."""
        found = only(_with_replicas(deployment(), 3), *scalers)
        assert expected == (found.minimum, found.maximum)

    @pytest.mark.parametrize(
        ("strategy", "expected"),
        [
            ({}, 1),
            ({"type": "Recreate"}, 0),
            ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, 0),
            ({"rollingUpdate": {"maxSurge": 2}}, 2),
            ({"rollingUpdate": {"maxSurge": "50%"}}, 2),
            ({"rollingUpdate": {"maxSurge": "many"}}, 0),
        ],
    )
    def test_surge(self, strategy: dict[str, Any], expected: int) -> None:
        """Pods more in a rollout are rounded up, as Kubernetes does it."""
        found = _with_replicas(deployment(), 3)
        found["spec"]["strategy"] = strategy
        assert expected == only(found).surge


def _with_replicas(found: dict[str, Any], replicas: int) -> dict[str, Any]:
    found["spec"]["replicas"] = replicas
    return found


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [1], {"a": 1}, [{"b": None}]])
@pytest.mark.parametrize(
    "path",
    [
        ("metadata",),
        ("spec",),
        ("spec", "strategy"),
        ("spec", "template"),
        ("spec", "template", "spec", "containers"),
        ("spec", "template", "spec", "nodeSelector"),
        ("spec", "template", "spec", "volumes"),
    ],
    ids=".".join,
)
def test_garbage(path: tuple[str, ...], value: object) -> None:
    """A manifest that is malformed anywhere is read as far as it goes."""
    found = deployment("--config=/x/y")
    at: Any = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert len(rendered.models([found, scaler("ScaledObject", {"name": "qwen"})])) <= 1


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [1], {"a": 1}, [{"b": None}]])
@pytest.mark.parametrize(
    "field", ["args", "command", "env", "envFrom", "image", "resources", "volumeMounts"]
)
def test_garbage_container(field: str, value: object) -> None:
    """So is a malformed container."""
    assert len(rendered.models([deployment("--config=/x/y", **{field: value})])) <= 1


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ([], ["a/b", "--port=80"], ["a/b", "--port=80"]),
        (["vllm", "serve"], ["a/b"], ["a/b"]),
        (["/usr/bin/vllm", "serve", "a/b"], ["-tp", "2"], ["a/b", "-tp", "2"]),
        (
            ["python3", "-m", "vllm.entrypoints.openai.api_server"],
            ["--model", "a"],
            ["--model", "a"],
        ),
        (["/bin/sh", "-c"], ["exec vllm serve a/b \\\n  --port 80"], ["a/b", "--port", "80"]),
        (["bash", "-ec", "vllm serve 'a/b'"], [], ["a/b"]),
        (["bash", "-c", "vllm serve 'a/b"], [], None),
        (["bash"], [], None),
        (["nginx", "serve"], [], None),
    ],
)
def test_command(command: list[str], args: list[str], expected: list[str] | None) -> None:
    """What follows `vllm serve` is found in whatever starts it."""
    assert expected == rendered.after_serve(command, args)
