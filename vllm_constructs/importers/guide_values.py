"""values.yaml: the guide's values file, read strictly.

The guide is the document "Deploying vLLM on Kubernetes", from which this project started.
Helm ignores a key that it does not know. Here a misspelled key or a wrong type is an error that
names the nearest key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse
from vllm_constructs.kube import quantity

Check: TypeAlias = Callable[[str, object], Any]
Tree: TypeAlias = "dict[str, Check | Tree]"


def _integer(low: int, high: int) -> Check:
    return lambda where, value: require.integer(where, value, low, high)


def _list(of: Check) -> Check:
    def check(where: str, value: object) -> list[Any]:
        items = require.items(where, value, "a list")
        return [of(f"{where}[{i}]", item) for i, item in enumerate(items)]

    return check


def _string_or_empty(where: str, value: object) -> str:
    return "" if value == "" else require.text(where, value)


def _annotations(where: str, value: object) -> dict[str, str]:
    return require.text_map(where, value)


def _quantity(where: str, value: object) -> str:
    quantity.memory(where, value)
    return str(value)


def _cores(where: str, value: object) -> str:
    quantity.cpu(where, value)
    return str(value)


def _of(tree: Tree) -> Check:
    return lambda where, value: _read(where, value, tree)


def _one_of(*options: str) -> Check:
    return lambda where, value: require.choice(where, value, options)


_PATH: Tree = {"path": require.text, "pathType": _one_of("Prefix")}
_HOST: Tree = {"host": require.text, "paths": _list(_of(_PATH))}
_TLS: Tree = {"secretName": require.text, "hosts": _list(require.text)}
_MODES = ("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany")

# The keys of the guide's section 12.4.2, and the few that its other sections need.
KEYS: Tree = {
    "replicaCount": _integer(1, 1000),
    "image": {
        "repository": require.text,
        "tag": require.text,
        "pullPolicy": _one_of("IfNotPresent"),
    },
    "model": {
        "name": require.text,
        "servedName": require.text,
        "maxModelLen": _integer(1, 2**31 - 1),
        "gpuMemoryUtilization": require.ratio,
        "trustRemoteCode": require.boolean,
        "revision": require.text,
        "dtype": require.text,
    },
    "gpu": {"count": _integer(1, 16), "type": require.text},
    "resources": {
        "limits": {"memory": _quantity, "cpu": _cores},
        "requests": {"memory": _quantity, "cpu": _cores},
    },
    "service": {"type": _one_of("ClusterIP"), "port": _integer(1024, 65535)},
    "ingress": {
        "enabled": require.boolean,
        "className": _one_of("nginx", "traefik"),
        "annotations": _annotations,
        "hosts": _list(_of(_HOST)),
        "tls": _list(_of(_TLS)),
    },
    "autoscaling": {
        "enabled": require.boolean,
        "minReplicas": _integer(1, 1000),
        "maxReplicas": _integer(1, 1000),
        "targetCPUUtilizationPercentage": _integer(1, 1000),
        "targetGPUUtilizationPercentage": _integer(1, 99),
    },
    "monitoring": {
        "enabled": require.boolean,
        "serviceMonitor": {
            "enabled": require.boolean,
            "interval": require.duration,
            "labels": _annotations,
        },
    },
    "shmSize": _quantity,
    "modelCache": {
        "enabled": require.boolean,
        "size": _quantity,
        "storageClass": require.text,
        "accessMode": _one_of(*_MODES),
    },
    "hfToken": {"enabled": require.boolean, "existingSecret": _string_or_empty},
}


def _read(where: str, value: object, tree: Tree) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        require.wrong(where, value, f"a mapping with the keys {', '.join(tree)}")
    values = {}
    for key, item in value.items():
        if key not in tree:
            near = require.nearest(str(key), tree)
            refuse(
                Problem(
                    where=where,
                    text=f"has the unknown key {escaped(require.shown(key))}",
                    value=require.shown(value),
                    allowed="" if near else require.one_of(list(tree)),
                    advice=near,
                )
            )
        check = tree[key]
        inner = f"{where}: {key}" if ":" not in where else f"{where}.{key}"
        values[key] = _read(inner, item, check) if isinstance(check, dict) else check(inner, item)
    return values


@dataclass(frozen=True)
class Values:
    """A values file with valid keys and types.

    Args:
        name: Name of the file, for messages.
        tree: Content of the file.
    """

    name: str
    tree: Mapping[str, Any]

    @classmethod
    def from_file(cls, path: str | Path) -> Values:
        """Read and check a file.

        Raises:
            VllmConstructsError: The file cannot be read, is not YAML, or has a wrong key or type.
        """
        if not isinstance(path, (str, Path)):
            require.wrong("from_values path", path, "the path of a values.yaml")
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            refuse(f"{require.shown(str(path))} cannot be read: {reason}; give a values.yaml.")
        return cls.from_text(text, name=Path(path).name)

    @classmethod
    def from_text(cls, text: str, *, name: str = "values") -> Values:
        """Read and check a string.

        Args:
            text: The YAML.
            name: Name of the file, for messages. Default `values`.

        Raises:
            VllmConstructsError: The string is not YAML, or has a wrong key or type.
        """
        import yaml

        class Strict(yaml.SafeLoader):
            """Rejects a key that is given twice, of which YAML silently keeps the last one."""

        def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
            seen: list[object] = []
            for key, _ in node.value:
                if key.value in seen:
                    line = key.start_mark.line + 1
                    shown = require.shown(key.value)
                    refuse(f"{name}, line {line}: the key {shown} is given twice; keep one.")
                seen.append(key.value)
            return loader.construct_mapping(node, deep=True)

        Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
        try:
            tree = yaml.load(text, Loader=Strict)  # noqa: S506  # a SafeLoader
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            problem = " ".join(str(error.problem).split())
            refuse(f"{name}, line {line} is not YAML: {problem}; correct the line.")
        except VllmConstructsError:
            raise
        except Exception as error:  # noqa: BLE001  # PyYAML raises any kind: `!!bool x` a KeyError
            refuse(f"{name} is not YAML: {' '.join(str(error).split())[:120]}; correct it.")
        return cls(name, _read(name, {} if tree is None else tree, KEYS))

    def get(self, *path: str, default: Any = None) -> Any:
        """The value at `path`, or the default."""
        value: Any = self.tree
        for key in path:
            if key not in value:
                return default
            value = value[key]
        return value

    def need(self, *path: str) -> Any:
        """The value at `path`; a missing one is rejected."""
        value = self.get(*path)
        if value is None:
            refuse(f"{self.name} lacks {'.'.join(path)}; add it.")
        return value

    def is_on(self, section: str) -> bool:
        """Whether a section is given and not disabled."""
        return section in self.tree and bool(self.get(section, "enabled", default=True))

    def pair(self, resource: str) -> tuple[str, str] | str | None:
        """Request and limit of a resource; where only one is given, both have its value."""
        request = self.get("resources", "requests", resource)
        limit = self.get("resources", "limits", resource)
        if request is None or limit is None:
            return cast("str | None", request if request is not None else limit)
        return (request, limit)
