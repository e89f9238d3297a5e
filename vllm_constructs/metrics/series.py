"""ModelSeries: the label matchers that select the series of one model, or of one workload of it."""

from __future__ import annotations

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.kube import names


@dataclass(frozen=True, kw_only=True)
class ModelSeries:
    """The series of one model, which have its namespace and its first served name as labels.

    Args:
        namespace: Namespace of the model.
        model_name: Its first served name.
        pods: Regular expression for the names of its pods, where several workloads of a namespace
            serve one name. Default: all pods of that name.

    Raises:
        VllmConstructsError: An invalid namespace, or an empty name or expression.
    """

    namespace: str
    model_name: str
    pods: str | None = None

    def __post_init__(self) -> None:
        names.label("ModelSeries.namespace", self.namespace)
        require.text("ModelSeries.model_name", self.model_name)
        if self.pods is not None:
            require.text("ModelSeries.pods", self.pods)

    def matchers(self, **more: str) -> str:
        """The label matchers in PromQL."""
        labels = {"namespace": self.namespace, "model_name": self.model_name, **more}
        found = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
        if self.pods is not None:
            found.append(f'pod=~"{_escaped(self.pods)}"')
        return ",".join(found)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
