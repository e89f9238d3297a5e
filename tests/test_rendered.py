import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from vllm_constructs import EngineArgs, MigSlice, VllmConstructsError, WholeGpu, rendered
from vllm_constructs.rendered import Rendered

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
    return only(_relabelled(found, labels))


def _relabelled(found: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    found["spec"]["template"]["spec"]["nodeSelector"] = labels
    return found


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
        assert "EngineArgs.gpu_memory_utilization is 90" in (
            only(deployment("--gpu-memory-utilization=90")).problem
        )

    def test_unnamed(self) -> None:
        """Without a model in the manifest there is no plan."""
        assert "the manifest does not name the model." == only(deployment(args=[])).problem

    def test_list(self) -> None:
        """Objects in a List are found."""
        listed = {"kind": "List", "items": [deployment(), {"kind": "Service"}]}
        assert ["Deployment", "Service"] == [one["kind"] for one in rendered._flat(listed)]


class TestGpu:
    """What a pod gets."""

    @pytest.mark.parametrize(
        ("resource", "product", "expected", "text"),
        [
            ("nvidia.com/gpu", "NVIDIA-L4", WholeGpu("NVIDIA-L4"), "1 x NVIDIA-L4"),
            ("nvidia.com/mig-1g.10gb", None, MigSlice("1g.10gb"), "MIG 1g.10gb"),
            (
                "nvidia.com/mig-1g.10gb",
                "NVIDIA-A100-80GB-PCIe",
                MigSlice("1g.10gb", product="NVIDIA-A100-80GB-PCIe"),
                "MIG 1g.10gb",
            ),
            (
                "nvidia.com/gpu",
                "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb",
                MigSlice("1g.10gb", product="NVIDIA-A100-80GB-PCIe", strategy="single"),
                "MIG 1g.10gb",
            ),
        ],
    )
    def test_kinds(self, resource: str, product: str | None, expected: object, text: str) -> None:
        """Resource and node label together say which GPU or slice it is."""
        found = on(resource, product)
        assert (expected, text, "") == (found.gpu, found.gpu_text, found.problem)

    @pytest.mark.parametrize(
        ("resource", "product", "problem"),
        [
            ("nvidia.com/gpu", None, f"no node label {PRODUCT} says which GPU it is."),
            ("nvidia.com/gpu", "NVIDIA-L4-SHARED", "how many pods share the GPU is not in"),
            ("nvidia.com/gpu.shared", "NVIDIA-L4", "how many pods share the GPU is not in"),
            ("nvidia.com/gpu", "NVIDIA-B9000", "WholeGpu.product is 'NVIDIA-B9000'"),
            ("nvidia.com/mig-9g.9gb", None, "MigSlice.profile is '9g.9gb'"),
            ("amd.com/gpu", "NVIDIA-L4", "the pod asks for no GPU."),
        ],
    )
    def test_unknown(self, resource: str, product: str | None, problem: str) -> None:
        """What the manifest does not say about the GPU is said in words."""
        found = on(resource, product)
        assert found.gpu is None
        assert found.problem.startswith(problem)

    def test_virtual(self) -> None:
        """A virtual GPU's memory is in no manifest."""
        labels = {"nvidia.com/vgpu.present": "true"}
        found = only(_relabelled(deployment(), labels))
        assert "the memory of a virtual GPU is not in its manifest." == found.problem

    def test_share(self) -> None:
        """A share is planned by the part that vLLM asks for, which is said."""
        found = on("nvidia.com/gpu", "NVIDIA-L4-SHARED", "--gpu-memory-utilization=0.22")
        assert WholeGpu("NVIDIA-L4") == found.gpu
        assert "a share of NVIDIA-L4" == found.gpu_text
        (note,) = found.notes
        assert "planned is the part that --gpu-memory-utilization asks for" in note

    def test_unused(self) -> None:
        """Without a size vLLM takes one GPU, and the others are said to be idle."""
        found = on("nvidia.com/gpu", "NVIDIA-L4", count="4")
        assert WholeGpu("NVIDIA-L4") == found.gpu
        assert 4 == found.pod_gpus
        assert ("vLLM is told to use 1 of the pod's 4 GPUs.",) == found.notes

    def test_too_few(self) -> None:
        """More GPUs than the pod has are a refusal."""
        found = on("nvidia.com/gpu", "NVIDIA-L4", "-tp", "2", "-pp", "2", count="2")
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


class TestFiles:
    """Where manifests are read from."""

    def test_folder(self, tmp_path: Path) -> None:
        """YAML and JSON of a folder and those below are read, in the order of their names."""
        (tmp_path / "sub").mkdir()
        (tmp_path / "b.yaml").write_text("kind: B\n---\nkind: C\n")
        (tmp_path / "a.json").write_text(json.dumps({"kind": "A"}))
        (tmp_path / "sub" / "d.yml").write_text("kind: D\n---\n- 1\n")
        (tmp_path / "note.txt").write_text("kind: no")
        assert ["A", "B", "C", "D"] == [one["kind"] for one in rendered.manifests(tmp_path)]

    def test_file(self, tmp_path: Path) -> None:
        """A single file will do."""
        file = tmp_path / "x.yaml"
        file.write_text(yaml.safe_dump(deployment()))
        assert [deployment()] == rendered.manifests(file)

    @pytest.mark.parametrize("text", ["a: [", "{{ helm }}: x: y", "\x00"])
    def test_bad(self, tmp_path: Path, text: str) -> None:
        """What is no YAML is refused with the file's name."""
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(VllmConstructsError, match=r"x\.yaml' cannot be read"):
            rendered.manifests(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        """A folder without YAML is refused."""
        with pytest.raises(VllmConstructsError, match="has no YAML in it"):
            rendered.manifests(tmp_path)


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
