"""Models in manifests, whoever wrote them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cdk8s import App, Chart

from vllm_constructs import (
    AzureContainer,
    EngineArgs,
    HuggingFaceMirror,
    Kubernetes,
    LoraAdapter,
    ModelDeployment,
    ModelScope,
    OciImage,
    Problem,
    S3Bucket,
    WholeGpu,
)
from vllm_constructs.cli.main import main
from vllm_constructs.reading import workloads
from vllm_constructs.reading.containers import after_serve
from vllm_constructs.reading.spelling import as_fields
from vllm_constructs.reading.workloads import (
    DeployedModel,
    deployed_models,
    unread_workloads,
)
from vllm_constructs.workloads.workload import DEPLOYMENT

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


def only(*objects: dict[str, Any]) -> DeployedModel:
    """The only model among objects."""
    (found,) = deployed_models(list(objects))
    return found


def on(resource: str, product: str | None, *args: str, count: str = "1") -> DeployedModel:
    """A model with another resource or label."""
    labels = {} if product is None else {PRODUCT: product}
    found = deployment(*args, resources={"limits": {resource: count, "cpu": "8"}})
    found["spec"]["template"]["spec"]["nodeSelector"] = labels
    return only(found)


def said(problem: Problem | None) -> str:
    """A problem as manifests spell it; empty where there is none."""
    return "" if problem is None else problem.sentence(as_fields)


class TestModel:
    """What a Deployment says."""

    def test_facts(self) -> None:
        """Name, model, image, flags and GPU are as in the manifest."""
        found = only(deployment("--max-model-len=4096"))
        assert ("llm/qwen", "a/b", "vllm/vllm-openai:v0.33.0") == (
            found.full_name,
            found.model,
            found.image,
        )
        assert EngineArgs(max_model_len=4096, tensor_parallel_size=1) == found.engine
        assert WholeGpu("NVIDIA-L40S") == found.gpu
        assert (None, None, ()) == (found.problem, found.refusal, found.notes)

    def test_others(self) -> None:
        """What runs no vLLM is no model."""
        other = deployment(image="nginx:1", args=[])
        command = deployment(command=["sleep"], args=["1"])
        assert [] == deployed_models([other, command, {"kind": "Service"}, {"kind": "Deployment"}])

    @pytest.mark.parametrize(
        "command",
        [
            ["/opt/start"],
            ["sh", "-c", 'exec vllm serve "$@"', "vllm"],
            ["/opt/venv/bin/vllm", "serve"],
        ],
    )
    def test_own_command(self, command: list[str]) -> None:
        """An engine of this library is known by its annotation, whatever starts it."""
        found = deployment("--max-model-len=4096", command=command)
        template = found["spec"]["template"]
        template["metadata"] = {"annotations": {"vllm-constructs.dev/model": "a/b"}}
        template["spec"]["containers"][0]["name"] = "vllm"
        read = only(found)

        assert "a/b" == read.model
        assert read.engine is not None
        assert 4096 == read.engine.max_model_len

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
        assert "--dtype is '$(DTYPE)', whose value is in none of the manifests." == (
            said(found.problem)
        )

    def test_variable_that_does_not_matter(self) -> None:
        """A variable that a plan does not need is only noted."""
        found = only(deployment("--revision=$(COMMIT)"))
        (note,) = found.notes
        assert found.problem is None
        assert "--revision is '$(COMMIT)'" in said(note)

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
        assert "the flags in '/etc/vllm/engine.yaml' are in none of the manifests." == (
            said(only(model).problem)
        )

    def test_bad_flag(self) -> None:
        """A flag that vLLM rejects is a refusal."""
        assert "--gpu-memory-utilization is 90" in (
            said(only(deployment("--gpu-memory-utilization=90")).refusal)
        )

    def test_refusals(self) -> None:
        """The vLLM in the image decides which flags it starts with."""
        old = only(deployment("--swap-space=4", image="vllm/vllm-openai:v0.12.0"))
        assert (None, (), "0.12.0") == (old.refusal, old.notes, old.release.name)
        new = only(deployment("--swap-space=4", "--task=embed"))
        assert "--swap-space is no longer a flag of vLLM 0.33.0" in said(new.refusal)
        (note,) = new.notes
        assert "--task is no longer a flag of vLLM 0.33.0" in said(note)
        assert EngineArgs(tensor_parallel_size=1) == new.engine

    @pytest.mark.parametrize("image", ["mine/vllm", "mine/vllm:1", ":", ""])
    def test_unknown_release(self, image: str) -> None:
        """Where the image does not say its vLLM, nothing is rejected because of it."""
        command = {"image": image, "command": ["vllm", "serve"]}
        found = only(deployment("--swap-space=4", **command))
        release, flag = found.notes
        assert (None, None) == (found.refusal, found.problem)
        assert "--swap-space is no longer a flag of vLLM 0.33.0" in said(flag)
        assert "(assumed: specify the image's release with the annotation" in said(flag)
        assert said(release) == (
            f"image is {image!r}, which does not specify its vLLM release, so that vLLM 0.33.0 is "
            "assumed; specify it with the annotation vllm-constructs.dev/vllm."
        )
        wrong = only(deployment("--enable-auto-tool-choice", **command))
        assert "without --tool-call-parser" in said(wrong.problem)
        assert wrong.engine is None

    @pytest.mark.parametrize("text", ["{port=1}", "{{x}}", "a{max_num_seqs}"])
    def test_braces(self, text: str) -> None:
        """Braces in a manifest are shown as they are."""
        labels = deployment()
        labels["spec"]["template"]["spec"]["nodeSelector"] = {PRODUCT: text}
        backend = f"--distributed-executor-backend={text}"
        for manifest in (
            deployment(image=f"vllm-openai/{text}"),
            deployment("--config", f"/{text}"),
            deployment(f"--max-model-len=$({text})"),
            deployment(f"--dtype={text}"),
            deployment(f"--compilation-config={text}"),
            deployment("--nnodes=2", backend),
            deployment(text),
            labels,
        ):
            found = only(manifest)
            sentences = [said(one) for one in (found.problem, found.refusal, *found.notes)]
            assert any(text in sentence for sentence in sentences), sentences

    def test_unnamed(self) -> None:
        """Without a model in the manifest there is no plan."""
        assert "the manifest does not name the model." == said(only(deployment(args=[])).problem)


class TestGpu:
    """What a pod gets."""

    def test_facts(self) -> None:
        """Resource and node label together say which GPU it is."""
        found = on("nvidia.com/gpu", "NVIDIA-L4", count="2")
        assert ("2 x NVIDIA-L4", "NVIDIA-L4", 2) == (found.gpu_text, found.kind, found.pod_gpus)
        assert said(on("nvidia.com/gpu", None).problem).startswith(
            "no label of the node names the GPU"
        )

    def test_share(self) -> None:
        """A share is planned by the part that vLLM asks for, which is noted."""
        found = on("nvidia.com/gpu", "NVIDIA-L4-SHARED", "--gpu-memory-utilization=0.22")
        assert WholeGpu("NVIDIA-L4") == found.gpu
        (note,) = found.notes
        assert "the plan assumes time-slicing and the share in --gpu-memory-util" in said(note)

    def test_unused(self) -> None:
        """Without a size vLLM takes one GPU, and it is noted that the others are idle."""
        found = on("nvidia.com/gpu", "NVIDIA-L4", count="4")
        assert WholeGpu("NVIDIA-L4") == found.gpu
        assert 4 == found.pod_gpus
        assert ["vLLM uses 1 of the pod's 4 GPUs."] == [said(note) for note in found.notes]

    @pytest.mark.parametrize("image", ["vllm/vllm-openai:v0.33.0", "mine/vllm:1"])
    def test_too_few(self, image: str) -> None:
        """More GPUs than the pod has are a refusal, whatever the vLLM."""
        sizes = ["serve", "a/b", "-tp", "2", "-pp", "2"]
        limits = {"limits": {"nvidia.com/gpu": "2"}}
        found = only(deployment(command=["vllm"], args=sizes, image=image, resources=limits))
        assert found.refusal is not None
        assert "does not fit" == found.refusal.kind
        assert (
            "needs 4 GPUs (tensor 2 x pipeline 2 x data 1), but the pod has 2; "
            "give limits['nvidia.com/gpu']: 4"
        ) in said(found.refusal)


class TestKinds:
    """Which objects run pods."""

    def test_other_kind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A further kind needs no more than its `WorkloadKind`, also for its scaler."""
        kind = replace(DEPLOYMENT, kind="StatefulSet")
        found = _with_replicas(deployment("--max-model-len=4096") | {"kind": "StatefulSet"}, 3)
        assert [] == deployed_models([found])
        monkeypatch.setattr(workloads, "KINDS", (DEPLOYMENT, kind))
        one = only(found)
        assert ("a/b", 3, 3) == (one.model, one.minimum, one.maximum)
        of_it = scaler("ScaledObject", {"name": "qwen", "kind": "StatefulSet"}, maxReplicaCount=9)
        of_other = scaler("ScaledObject", {"name": "qwen"}, maxReplicaCount=5)
        one = only(found, of_it, of_other)
        assert (0, 9) == (one.minimum, one.maximum)

    def test_other_group(self) -> None:
        """A Deployment of another API group is no workload of Kubernetes."""
        assert [] == deployed_models([deployment() | {"apiVersion": "example.com/v1"}])
        assert 1 == len(deployed_models([deployment() | {"apiVersion": "apps/v1beta2"}]))

    def test_replicas_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A kind says where its template and its replicas are."""
        kind = replace(
            DEPLOYMENT,
            group="leaderworkerset.x-k8s.io",
            kind="LeaderWorkerSet",
            pod_template=("spec", "leaderWorkerTemplate", "leaderTemplate"),
            replicas=("spec", "size", "groups"),
        )
        inside = deployment()["spec"]["template"]
        found = {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": "qwen", "namespace": "llm"},
            "spec": {
                "size": {"groups": 4},
                "leaderWorkerTemplate": {"leaderTemplate": inside},
            },
        }
        monkeypatch.setattr(workloads, "KINDS", (kind,))
        one = only(found)
        assert (WholeGpu("NVIDIA-L40S"), 4, 4) == (one.gpu, one.minimum, one.maximum)


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
    assert len(deployed_models([found, scaler("ScaledObject", {"name": "qwen"})])) <= 1


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [1], {"a": 1}, [{"b": None}]])
@pytest.mark.parametrize(
    "field", ["args", "command", "env", "envFrom", "image", "resources", "volumeMounts"]
)
def test_garbage_container(field: str, value: object) -> None:
    """So is a malformed container."""
    assert len(deployed_models([deployment("--config=/x/y", **{field: value})])) <= 1


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
        (["python3", "-m", "vllm.entrypoints.cli.main", "serve"], ["a/b"], ["a/b"]),
        (["sh", "-c", "vllm serve a/b --port 80; sleep 1"], [], ["a/b", "--port", "80"]),
        (["sh", "-c", "vllm serve a/b -tp 2 2>&1 | tee /tmp/log"], [], ["a/b", "-tp", "2"]),
        (["sh", "-c", "vllm serve a/b > /log 2>> /err & wait"], [], ["a/b"]),
        (["sh", "-c", "if true; then vllm serve a/b; fi"], [], ["a/b"]),
        (
            ["sh", "-c", "export A=1  # c; d\nvllm serve a/b -tp 2\nsleep 1"],
            [],
            ["a/b", "-tp", "2"],
        ),
        (
            ["sh", "-c", "vllm serve $MODEL -tp ${TP} -pp ${PP:-3}"],
            [],
            ["m/n", "-tp", "4", "-pp", "3"],
        ),
        (["sh", "-c", "vllm serve $OTHER"], [], ["$OTHER"]),
        (["sh", "-c", """vllm serve a/b --x '{"a": "b;c"}'"""], [], ["a/b", "--x", '{"a": "b;c"}']),
    ],
)
def test_command(command: list[str], args: list[str], expected: list[str] | None) -> None:
    """What follows `vllm serve` is found in whatever starts it, up to the command's end."""
    assert expected == after_serve(command, args, {"MODEL": "m/n", "TP": "4"})


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("StatefulSet", ("template", "spec")),
        ("Pod", ()),
        ("CronJob", ("jobTemplate", "spec", "template", "spec")),
        ("LeaderWorkerSet", ("leaderWorkerTemplate", "leaderTemplate", "spec")),
    ],
)
def test_other_kinds(kind: str, path: tuple[str, ...]) -> None:
    """What runs vLLM in another kind of object is not planned, and that is said."""
    pod: dict[str, Any] = {"containers": [{"command": ["vllm", "serve", "a/b"]}]}
    for key in reversed(path):
        pod = {key: pod}
    found = {"kind": kind, "metadata": {"name": "qwen", "namespace": "llm"}, "spec": pod}

    assert [] == deployed_models([found])
    (problem,) = unread_workloads([found, deployment("a/b")])
    assert problem.sentence().startswith(f"{kind} 'llm/qwen' runs vLLM, but only Deployments are")
    assert [] == unread_workloads([{"kind": "Job", "spec": {"containers": [{"image": "a:1"}]}}])


def test_claims() -> None:
    """A pod whose GPUs are claimed is no pod without GPUs."""
    resources = {"claims": [{"name": "gpu"}]}
    (found,) = deployed_models([deployment("a/b", resources=resources)])
    assert found.problem is not None
    assert "from resource claims that are not in the manifests" in found.problem.sentence()


@pytest.mark.parametrize("amount", ["2", 2, 2.0, "2000m", "2e0"])
def test_quantities(amount: object) -> None:
    """GPUs are counted in any spelling of a quantity."""
    resources = {"limits": {"nvidia.com/gpu": amount}}
    (found,) = deployed_models([deployment("a/b", resources=resources)])
    assert 2 == found.pod_gpus


class TestWeights:
    """Models whose weights come from elsewhere."""

    @staticmethod
    def ours(source: str, named: Any = "a/b") -> dict[str, Any]:
        """A Deployment of this library, whose engine loads `source`."""
        found = deployment()
        template = found["spec"]["template"]
        template["metadata"] = {"annotations": {"vllm-constructs.dev/model": named}}
        template["spec"]["containers"][0] |= {"name": "vllm", "args": [source]}
        return found

    @pytest.mark.parametrize("source", ["s3://weights/qwen", "/weights", "gs://a", "az://a/b"])
    def test_elsewhere(self, source: str) -> None:
        """A path or a URL is where they are; the annotation has the model."""
        assert "a/b" == only(self.ours(source)).model

    def test_url(self) -> None:
        """A model that is a URL is named by it."""
        assert "s3://weights/a" == only(self.ours("s3://weights/a", "s3://weights/a")).model

    def test_changed(self) -> None:
        """A name that somebody has put in is the model, and so is a path without annotation."""
        assert "c/d" == only(self.ours("c/d")).model
        for named in (None, "", 7):
            assert "/weights" == only(self.ours("/weights", named)).model

    def test_others(self) -> None:
        """An annotation of others' engines says nothing."""
        found = self.ours("/weights")
        found["spec"]["template"]["spec"]["containers"][0]["name"] = "engine"
        assert "/weights" == only(found).model

    @pytest.mark.parametrize(
        "weights",
        [
            S3Bucket("s3://weights/qwen", secret="s3"),
            AzureContainer("az://weights/qwen", account="abc", secret="sp"),
            OciImage("registry.example.com/qwen:v1"),
            HuggingFaceMirror("https://hf-mirror.com"),
            ModelScope(),
        ],
    )
    @pytest.mark.parametrize("delivery", ["args", "config-map"])
    def test_plan(
        self, weights: Any, delivery: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The plan of what an app renders is that of the app."""
        app = App(outdir=str(tmp_path))
        Kubernetes("1.35").set_on(app)
        model = ModelDeployment(
            Chart(app, "llm", namespace="llm"),
            "qwen",
            model="Qwen/Qwen2.5-7B-Instruct",
            gpu=WholeGpu("NVIDIA-L40S"),
            engine=EngineArgs(max_model_len=8192, delivery=delivery),
            weights=weights,
            lora_adapters=[LoraAdapter(name, f"/model-cache/{name}", rank=64) for name in "abcd"],
        )
        app.synth()
        assert model.memory_plan is not None

        assert 0 == main(["plan", str(tmp_path), "--format", "json"])
        (row,) = json.loads(capsys.readouterr().out)["models"]
        assert "Qwen/Qwen2.5-7B-Instruct" == row["model"]
        assert model.memory_plan.as_dict() == row["plan"]


@pytest.mark.parametrize(
    ("image", "resource", "built_for", "has"),
    [
        ("vllm/vllm-openai:v0.33.0", "amd.com/gpu", "CUDA", "amd.com/gpu, which needs ROCm"),
        (
            "vllm/vllm-openai-rocm:v0.33.0",
            "nvidia.com/gpu",
            "ROCm",
            "NVIDIA-L40S, which needs CUDA",
        ),
        ("vllm/vllm-openai-cpu:v0.33.0", "nvidia.com/gpu", "CPU", "NVIDIA-L40S, which needs CUDA"),
    ],
)
def test_image_of_another_accelerator(image: str, resource: str, built_for: str, has: str) -> None:
    """An image that is built for other devices than the pod has does not start."""
    found = deployment(image=image, resources={"limits": {resource: "1"}})
    labels = {PRODUCT: "NVIDIA-L40S", "amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}
    found["spec"]["template"]["spec"]["nodeSelector"] = labels
    has = has.replace("amd.com/gpu,", "MI300X,")
    expected = f"image is {image!r}, which is built for {built_for}, but the pod has {has}; "
    assert said(only(found).refusal).startswith(expected)


@pytest.mark.parametrize("args", [["vllm", "serve", "a/b"], ["a/b"]])
def test_tpu_without_command(args: list[str]) -> None:
    """The image for TPUs runs its arguments, so that it needs no command."""
    found = deployment(
        image="vllm/vllm-tpu:v0.32.0", args=args, resources={"limits": {"google.com/tpu": "1"}}
    )
    assert "a/b" == only(found).model


def test_part_of_a_claim() -> None:
    """An engine that uses fewer GPUs than its pod claims is planned with those."""
    found = deployment(resources={"claims": [{"name": "gpu"}]})
    inside = found["spec"]["template"]["spec"]
    inside["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "four"}]
    request = {"deviceClassName": "gpu.nvidia.com", "count": 4}

    def template(version: str, **exactly: Any) -> dict[str, Any]:
        return {
            "apiVersion": f"resource.k8s.io/{version}",
            "kind": "ResourceClaimTemplate",
            "metadata": {"name": "four", "namespace": "llm"},
            "spec": {"spec": {"devices": {"requests": [{"name": "gpu", **exactly}]}}},
        }

    for one in (template("v1", exactly=request), template("v1beta1", **request)):
        (made,) = deployed_models([found, one], "NVIDIA-L40S")
        assert made.gpu is not None
        assert (1, None) == (made.gpu.count, made.refusal)
        assert "vLLM uses 1 of the pod's 4 GPUs" in said(made.notes[0])
    every = template("v1", exactly={**request, "allocationMode": "All"})
    (made,) = deployed_models([found, every], "NVIDIA-L40S")
    assert made.gpu is None
