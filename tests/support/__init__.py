"""What tests need to judge manifests: schemas, rules, PromQL, YAML."""

from .builtin import ALL_RELEASES
from .crds import crds_available
from .documents import load_yaml
from .pod_security import pod_security_problems
from .promql import Query, Selector
from .promql import parse as parse_promql
from .schemas import WITHOUT_SCHEMA, assert_valid, validate
from .syntax import quantity

__all__ = [
    "ALL_RELEASES",
    "WITHOUT_SCHEMA",
    "Query",
    "Selector",
    "assert_valid",
    "crds_available",
    "load_yaml",
    "parse_promql",
    "pod_security_problems",
    "quantity",
    "validate",
]
