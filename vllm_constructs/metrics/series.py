"""ModelSeries: the label matchers that select the series of one model."""

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

    Raises:
        VllmConstructsError: An invalid namespace, or an empty name.
    """

    namespace: str
    model_name: str

    def __post_init__(self) -> None:
        names.label("ModelSeries.namespace", self.namespace)
        require.text("ModelSeries.model_name", self.model_name)

    def matchers(self, **more: str) -> str:
        """The label matchers in PromQL."""
        labels = {"namespace": self.namespace, "model_name": self.model_name, **more}
        return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
