"""ModelDownload: the Job that downloads a model's weights once, for all of its pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vllm_constructs import require
from vllm_constructs.engine.model_names import ModelName
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.kube import names
from vllm_constructs.kube.egress import EgressRule
from vllm_constructs.kube.metadata import mark
from vllm_constructs.kube.references import HasEnvValue, HasName, name_of
from vllm_constructs.memory import fit
from vllm_constructs.workloads import model_download, storage
from vllm_constructs.workloads.env_sources import EnvVarSource
from vllm_constructs.workloads.pod_security import PodSecurity
from vllm_constructs.workloads.secrets import HuggingFaceToken
from vllm_constructs.workloads.weights import DownloadedWeights, HuggingFaceMirror

from .base import VllmConstruct
from .registry import chart_context

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct

    from vllm_constructs.workloads.storage import Cache

_IMAGE = "vllm/vllm-openai:v0.33.0"


class ModelDownload(VllmConstruct):
    """A Job that downloads a model at a fixed revision into a cache.

    With it as `weights=`, the pods of a model wait until the Job is done, and then load the
    revision from the cache, without a connection to the Hub. The pod template of a Job cannot be
    changed, so the name of the Job has a checksum of it: another revision makes another Job.

    Args:
        scope: Chart or construct that it belongs to.
        id: Its id in the scope, with which the name of the Job begins.
        model: Model of the Hugging Face Hub.
        revision: The commit, with 40 hexadecimal digits.
        cache: The claim, which pods on several nodes must be able to mount and write to.
        hf_token: Token for gated models. Default: none.
        mirror: A mirror of the Hub. Default: the Hub.
        include: Patterns of files, such as `*.safetensors`. Default: all files.
        exclude: Patterns of files that are left out, such as `original/*`. Default: none.
        image: An image with the command `hf`. Default: vLLM's, which the nodes pull anyway.
        memory: Memory: one quantity for both request and limit, or (request, limit). Default: 2Gi
            and 8Gi.
        service_account: A ServiceAccount. Default: that of the namespace.
        image_pull_secrets: Secrets for the image registry. Default: none.
        env: More variables of the container, such as a proxy's. Default: none.
        allow_to: More addresses that the pod may connect to. Default: the Hub or the mirror, and
            those that variables name.
        security: The user of the process. Default: that of the engines.
        network_policy: Whether to make a NetworkPolicy for the pod. Default: True.
        labels: More labels of the objects and the pod. Default: none.
        annotations: More annotations of the objects and the pod. Default: none.

    Attributes:
        job: The Job.
        network_policy: The NetworkPolicy, or None.
        weights: What a model gets as `weights`.

    Raises:
        VllmConstructsError: A revision that may change, a cache that only one node can mount, or
            one that is too small.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        model: ModelName,
        revision: str,
        cache: Cache,
        hf_token: HuggingFaceToken | None = None,
        mirror: HuggingFaceMirror | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        image: str = _IMAGE,
        memory: str | tuple[str, str] = ("2Gi", "8Gi"),
        service_account: str | HasName | None = None,
        image_pull_secrets: Sequence[str | HasName] = (),
        env: Mapping[str, str | EnvVarSource | HasEnvValue] | None = None,
        allow_to: Sequence[str | EgressRule] = (),
        security: PodSecurity | None = None,
        network_policy: bool = True,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        context = chart_context(scope, id)
        for option, reference in (("cache", cache), ("hf_token", hf_token)):
            context.check_reference(f"ModelDownload.{option}", reference)
        context.check_reference("ModelDownload.service_account", service_account)
        where = "ModelDownload.image_pull_secrets"
        secrets: Any = require.items(where, image_pull_secrets, "a list of names of Secrets")
        for secret in secrets:
            context.check_reference(where, secret)
        volume = storage.claim_of(cache)
        if not isinstance(volume, storage.ExistingClaim):
            text = "is empty for each pod, so no Job can fill it"
            refuse(Problem(where="ModelDownload.cache", text=text, advice="give a ModelCache"))
        volume = replace(volume, namespace=context.namespace)
        account = None
        if service_account is not None:
            where = "ModelDownload.service_account"
            account = name_of(where, service_account, "ServiceAccount")
        self._download = model_download.Download(
            model=model,
            revision=revision,
            cache=volume,
            hf_token=hf_token,
            mirror=mirror,
            include=include,
            exclude=exclude,
            image=image,
            memory=memory,
            service_account=account,
            image_pull_secrets=[
                name_of("ModelDownload.image_pull_secrets", one, "Secret") for one in secrets
            ],
            env={} if env is None else env,
            allow_to=allow_to,
            security=PodSecurity() if security is None else security,
        )
        weights = fit.stored_weights(model, None)
        if weights is not None and not include:
            storage.check_size(f"ModelDownload {id!r}", volume, weights)
        marks = (
            names.label_map("ModelDownload.labels", {} if labels is None else labels),
            names.annotation_map(
                "ModelDownload.annotations", {} if annotations is None else annotations
            ),
        )
        body = model_download.job(names.sanitized(id), self._download, marks)
        made = {"Default": body}
        if require.boolean("ModelDownload.network_policy", network_policy):
            name = str(body["metadata"]["name"])
            made["network-policy"] = model_download.network_policy(name, self._download)
        template = body["spec"]["template"]
        marked = [*made.values(), template]
        mark("ModelDownload", marked, labels=labels, annotations=annotations)
        super().__init__(scope, id, context, made)

    @property
    def job(self) -> ApiObject:
        """The Job."""
        return self._object("Default")

    @property
    def network_policy(self) -> ApiObject | None:
        """The NetworkPolicy, or None."""
        return self._optional("network-policy")

    @property
    def weights(self) -> DownloadedWeights:
        """What a model gets as `weights`."""
        return self._download.weights
