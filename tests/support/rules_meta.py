"""Rules on metadata, labels, selectors and quantities, wherever they stand."""

from collections.abc import Iterator

from .syntax import (
    annotation_key_problems,
    dns_label_problems,
    dns_subdomain_problems,
    label_problems,
    label_value_problems,
    qualified_name_problems,
    quantity_problems,
    twice,
)
from .walk import Node, rule

_ANNOTATIONS_LIMIT = 256 * 1024


@rule("Quantity")
def _quantity(node: Node) -> Iterator[str]:
    yield from node.say(quantity_problems(node.value))


@rule("ObjectMeta")
def _metadata(node: Node) -> Iterator[str]:
    yield from node.say(label_problems(node.get("labels", {})), "labels")
    annotations = node.get("annotations", {})
    for key in annotations:
        yield from node.say(annotation_key_problems(key), "annotations")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATIONS_LIMIT:
        yield f"{node.at('annotations')}: {size} bytes are more than {_ANNOTATIONS_LIMIT}"
    if "namespace" in node.value:
        yield from node.say(dns_label_problems(node.value["namespace"]), "namespace")
    for one in node.get("finalizers", ()):
        yield from node.say(qualified_name_problems(one), "finalizers")
    server_side = {"creationTimestamp", "managedFields", "resourceVersion", "selfLink", "uid"}
    for name in server_side.intersection(node.value):
        yield f"{node.at(name)}: only the API server writes this"


@rule("LabelSelector")
def _selector(node: Node) -> Iterator[str]:
    yield from node.say(label_problems(node.get("matchLabels", {})), "matchLabels")


@rule("LabelSelectorRequirement", "NodeSelectorRequirement")
def _requirement(node: Node) -> Iterator[str]:
    operator, values = node.get("operator"), node.get("values", [])
    yield from node.say(qualified_name_problems(node.get("key", "")), "key")
    for value in values:
        yield from node.say(label_value_problems(value), "values")
    if operator in {"In", "NotIn"} and not values:
        yield f"{node.at('values')}: {operator} needs values"
    if operator in {"Exists", "DoesNotExist"} and values:
        yield f"{node.at('values')}: {operator} takes no values"
    if operator in {"Gt", "Lt"} and (len(values) != 1 or not values[0].lstrip("-").isdigit()):
        yield f"{node.at('values')}: {operator} takes one integer"


@rule("LocalObjectReference", "SecretKeySelector", "ConfigMapKeySelector")
@rule("SecretEnvSource", "ConfigMapEnvSource", "ConfigMapVolumeSource", "SecretProjection")
@rule("ConfigMapProjection", "CrossVersionObjectReference")
def _reference(node: Node) -> Iterator[str]:
    name = node.get("name")
    if not name:
        yield f"{node.at('name')}: a reference needs a name"
    else:
        yield from node.say(dns_subdomain_problems(name), "name")


@rule("OwnerReference", "TypedLocalObjectReference", "RoleRef", "Subject")
def _named(node: Node) -> Iterator[str]:
    if not node.get("name"):
        yield f"{node.at('name')}: a reference needs a name"


def double_problems(node: Node, field: str, key: str) -> Iterator[str]:
    """Yield the names that stand twice in a list of a value."""
    names = [item[key] for item in node.get(field, ()) if key in item]
    yield from node.say((f"{name!r} stands here twice" for name in twice(names)), field)


def exactly_one(node: Node, *fields: str) -> Iterator[str]:
    """Yield a problem unless exactly one of the fields is set."""
    found = [name for name in fields if name in node.value]
    if len(found) != 1:
        wanted = ", ".join(fields)
        yield f"{node.at() or 'the object'}: exactly one of {wanted}, not {found or 'none'}"
