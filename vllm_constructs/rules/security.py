"""Rules of what pods may do, and as whom: H02 to H04."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped
from vllm_constructs.kube.pod_security_standards import context_beyond_restricted
from vllm_constructs.reading.engines import Engine
from vllm_constructs.reading.fields import mapping, strings
from vllm_constructs.reading.graph import Graph
from vllm_constructs.reading.manifest import Path
from vllm_constructs.reading.pods import Pod
from vllm_constructs.releases.image import CUDA, ImageFamily

from .rule import Edit, Fix, Found, Level, put, remove, rule

_CONTEXT = "securityContext"
# What a field allows, and what forbids it, in the order of sentences.
_ALLOWS = {
    "runAsUser": ("root", "runAsNonRoot: true, a runAsUser such as 2000"),
    "runAsNonRoot": ("root", "runAsNonRoot: true"),
    "allowPrivilegeEscalation": ("privilege escalation", "allowPrivilegeEscalation: false"),
    "capabilities.drop": ("capabilities", "capabilities.drop: [ALL]"),
    "seccompProfile": ("all system calls", "seccompProfile.type: RuntimeDefault"),
}
_GROUP = "leaderWorkerTemplate"
_TPU = "google.com/tpu"


def vllm_pods(graph: Graph) -> Iterator[tuple[Pod, Engine | None]]:
    """The pods that run vLLM, each once with its engine; workers of a group may have none.

    Args:
        graph: The manifests.
    """
    seen: set[int] = set()
    for engine in graph.engines:
        if id(engine.pod) in seen:
            continue
        seen.add(id(engine.pod))
        yield engine.pod, engine
        for pod in graph.pods_of(engine.manifest) if engine.pod.role else ():
            if _group(pod) == _group(engine.pod) and id(pod) not in seen:
                own = next(
                    (one for one in graph.engines_of(engine.manifest) if one.pod is pod), None
                )
                seen.add(id(pod))
                yield pod, own


def _group(pod: Pod) -> Path:
    return pod.path[: pod.path.index(_GROUP)] if _GROUP in pod.path else pod.path


@rule("H02", "warning", "a pod that may do more than vLLM needs")
def privileges(graph: Graph) -> Iterator[Found]:
    """Whoever breaks out of the server has what its container has; vLLM needs none of it."""
    for pod, engine in vllm_pods(graph):
        containers = pod.all_containers
        first = [one for one in containers if engine is not None and one[0] == engine.path]
        # The engine comes first, since the sentence is about it.
        ordered = first + [one for one in containers if one not in first]
        found = [(path, one, fields) for path, one in ordered if (fields := _open(pod, one))]
        if engine is not None and _needs_root(engine):
            found = [(path, one, [*filter(_is_no_user, fields)]) for path, one, fields in found]
            found = [one for one in found if one[2]]
        if not found:
            continue
        path, container, fields = found[0]
        allowed = list(dict.fromkeys(_ALLOWS[field][0] for field in fields))
        others = _and([require.shown(one.get("name")) for _, one, _ in found[1:]])
        also = f" (so does that of {others})" if others else ""
        text = f"allows {_and(allowed)}{escaped(also)}, which vLLM does not need"
        given = [_ALLOWS[field][1] for field in fields]
        if "runAsNonRoot" in fields and not _user_of(pod, container):
            # The images of vLLM start as root, which this alone forbids.
            given[0] = _ALLOWS["runAsUser"][1]
        is_other = given[0] == _ALLOWS["runAsUser"][1]
        given += ["a HOME and caches that this user can write"] * is_other
        problem = Problem(where=_CONTEXT, text=text, advice=f"give {_and(given)}")
        yield Found(
            manifest=pod.manifest,
            path=_place(pod, path, container, fields[0]),
            problem=problem,
            fix=_closed(pod, path, container, fields),
        )


def _needs_root(engine: Engine) -> bool:
    """Whether the engine works as root only: on TPUs, or with capabilities, which others lack."""
    added = strings(mapping(_context(engine.container), "capabilities").get("add"))
    return bool(added) or _TPU in engine.limits or engine.release.named_accelerator == "TPU"


def _is_no_user(field: str) -> bool:
    return field not in ("runAsUser", "runAsNonRoot")


def _user_of(pod: Pod, container: Mapping[str, Any]) -> int:
    """The user id; 0 for root or an unknown user."""
    user = pod.security(container, "runAsUser")
    return max(0, user) if isinstance(user, int) and not isinstance(user, bool) else 0


def _open(pod: Pod, container: Mapping[str, Any]) -> list[str]:
    """The fields of a container's security context that allow what vLLM does not need."""
    own, outer = _context(container), _context(pod.spec)
    if own.get("privileged") is True:
        return []
    has_users = pod.spec.get("hostUsers") is not False
    user = own.get("runAsUser", outer.get("runAsUser"))
    not_root = own.get("runAsNonRoot", outer.get("runAsNonRoot"))
    found = set(context_beyond_restricted(own, outer, has_users=has_users))
    is_root = has_users and user == 0 and not isinstance(user, bool)
    if is_root:
        found = found - {"runAsNonRoot"} | {"runAsUser"}
    elif isinstance(user, int) and user > 0 and not_root is not False:
        # Somebody else than root by his number; only `false` allows root.
        found.discard("runAsNonRoot")
    seccomp = own.get("seccompProfile", outer.get("seccompProfile"))
    if mapping(seccomp).get("type") == "Unconfined":
        found.add("seccompProfile")
    if not pod.is_whole:
        # What is missing, an operator adds.
        given = {
            "runAsUser": is_root,
            "runAsNonRoot": not_root is False,
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is True,
            "seccompProfile": mapping(seccomp).get("type") == "Unconfined",
        }
        found = {field for field in found if given.get(field)}
    return [field for field in _ALLOWS if field in found]


def _context(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A security context, with the types that its fields should have."""
    given = mapping(fields.get(_CONTEXT))
    found = {key: one for key, one in given.items() if one is not None}
    if "capabilities" in found:
        lists = mapping(found["capabilities"])
        found["capabilities"] = {key: strings(lists.get(key)) for key in ("add", "drop")}
    if not isinstance(found.get("seccompProfile", {}), dict):
        del found["seccompProfile"]
    return found


def _place(pod: Pod, path: Path, container: Mapping[str, Any], field: str) -> Path:
    """Where a field is, or belongs."""
    if field in ("runAsUser", "runAsNonRoot", "seccompProfile"):
        if field in mapping(container.get(_CONTEXT)):
            return (*path, _CONTEXT, field)
        return (*pod.path, _CONTEXT, field)
    return (*path, _CONTEXT, *field.split("."))


def _closed(pod: Pod, path: Path, container: Mapping[str, Any], fields: list[str]) -> Fix | None:
    """The fields that do not change the user, who needs folders of his own."""
    own = dict(mapping(container.get(_CONTEXT)))
    outer = dict(mapping(pod.spec.get(_CONTEXT)))
    edits = []
    if "allowPrivilegeEscalation" in fields:
        own["allowPrivilegeEscalation"] = False
    if "capabilities.drop" in fields:
        own["capabilities"] = {**mapping(own.get("capabilities")), "drop": ["ALL"]}
    if own != mapping(container.get(_CONTEXT)):
        edits.append(Edit(path=(*path, _CONTEXT), value=own))
    if "seccompProfile" in fields and "seccompProfile" not in own:
        outer["seccompProfile"] = {"type": "RuntimeDefault"}
        edits.append(Edit(path=(*pod.path, _CONTEXT), value=outer))
    return Fix(edits=tuple(edits), is_safe=False) if edits else None


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


# Variables of folders that vLLM and its libraries write.
_FOLDERS = (
    "HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRANSFORMERS_CACHE",
    "TRITON_CACHE_DIR",
    "VLLM_CACHE_ROOT",
    "VLLM_CONFIG_ROOT",
    "XDG_CACHE_HOME",
)
_ROOT = "/root"
_CACHE_OF_NOBODY = "/.cache"
# docker/Dockerfile of vLLM 0.22: the CUDA image has had a user of its own since.
_HAS_USER = (0, 22, 0)


@rule("H03", "error", "a user who cannot write what vLLM writes")
def folders(graph: Graph) -> Iterator[Found]:
    """`/root` is closed to all others, and a user without a home writes to `/`."""
    for engine in graph.engines:
        user = _user(engine)
        if not user:
            continue
        who = f"user {user}" if user > 0 else "the user, who is not root,"
        mounts = engine.manifest.each(*engine.path, "volumeMounts")
        if not any(str(one.get("mountPath")).rstrip("/") == _ROOT for _, one in mounts):
            yield from _below_root(engine, who)
        yield from _without_home(engine, user)


def _user(engine: Engine) -> int:
    """The user id; 0 for root or an unknown user, -1 for one that is not root."""
    user = _user_of(engine.pod, engine.container)
    given = engine.pod.security(engine.container, "runAsUser")
    is_other = engine.pod.security(engine.container, "runAsNonRoot") is True
    return -1 if given is None and is_other else user


def _below_root(engine: Engine, who: str) -> Iterator[Found]:
    # An image of somebody else may have opened it.
    level: Level | None = None if engine.release.is_official else "warning"
    home = engine.release.family.home
    why = f"which {who} cannot enter"
    for path, mount in engine.manifest.each(*engine.path, "volumeMounts"):
        folder = str(mount.get("mountPath"))
        if folder.startswith(f"{_ROOT}/"):
            right = f"{home}{folder.removeprefix(_ROOT)}"
            where = (*path, "mountPath")
            problem = Problem(
                where=f"volumeMounts[{path[-1]}].mountPath",
                text=f"is {escaped(require.shown(folder))}, {why}",
                advice=f"mount it at {escaped(require.shown(right))}, below HOME",
            )
            fix = put(where, right)
            yield Found(manifest=engine.manifest, path=where, problem=problem, level=level, fix=fix)
    given = {name: engine.env[name] for name in _FOLDERS if name in engine.env}
    option = engine.flag("download-dir")
    places = {f"the variable {name}": engine.env_place(name) for name in given}
    values = {f"the variable {name}": value for name, value in given.items()}
    if isinstance(option, str):
        places["--download-dir"] = engine.flag_place("download-dir")
        values["--download-dir"] = option
    for name, folder in values.items():
        if folder.rstrip("/") == _ROOT or folder.startswith(f"{_ROOT}/"):
            problem = Problem(
                where=name,
                text=f"is {escaped(require.shown(folder))}, {why}",
                advice=f"give a folder that it can write, such as {home}",
            )
            yield Found(manifest=engine.manifest, path=places[name], problem=problem, level=level)


def _without_home(engine: Engine, user: int) -> Iterator[Found]:
    family = engine.release.family
    if not engine.release.is_official or _may_have_home(engine):
        return
    has_entry = user == CUDA.user and family is CUDA and engine.release.assumed >= _HAS_USER
    if has_entry and not ({"USER", "LOGNAME"} & set(engine.env)):
        return
    text = (
        f"is not set, and the image has no home for {_of(user, family)}: vLLM writes to / and ends"
    )
    if has_entry:
        text = (
            f"is not set beside USER, so that it is what the image's passwd has for user {user}: "
            "with another image or user, /"
        )
    problem = Problem(
        where="the variable HOME",
        text=text,
        advice=f"set it to a folder that the user can write, such as {family.home}",
    )
    yield Found(
        manifest=engine.manifest,
        path=engine.env_place("HOME"),
        problem=problem,
        level="warning" if has_entry else None,
    )


def _of(user: int, family: ImageFamily) -> str:
    return f"user {user}" if user > 0 else f"a user other than root and {family.user}"


def _may_have_home(engine: Engine) -> bool:
    """Whether HOME, or what stands for it, is set here or where it cannot be seen."""
    known = {**engine.env_paths, **engine.env}
    if "HOME" in known or "XDG_CACHE_HOME" in known:
        return True
    if "VLLM_CACHE_ROOT" in known and ({"HF_HOME", "HF_HUB_CACHE"} & set(known)):
        return True
    if engine.mount(_CACHE_OF_NOBODY) is not None:
        return True
    configs = engine.graph.config_data
    for _, source in engine.manifest.each(*engine.path, "envFrom"):
        name = str(mapping(source.get("configMapRef")).get("name"))
        if (engine.pod.namespace, name) not in configs:
            return True
    command, args = (strings(engine.container.get(key)) for key in ("command", "args"))
    program = command[0].rpartition("/")[2] if command else ""
    if program in ("bash", "sh"):
        return "HOME=" in " ".join([*command, *args])
    # Another program may set it, as the image's own one for users without a name does.
    return program not in ("", "python", "python3", "vllm")


_OF_NODE = {
    "hostIPC": "vLLM shares memory through /dev/shm: mount an emptyDir of medium Memory there",
    "hostNetwork": "the pod has a network of its own: give RDMA devices by their device plugin",
    "hostPID": "vLLM needs no process of the node",
}


@rule("H04", "error", "a pod that has the node's namespaces or privileges")
def namespaces(graph: Graph) -> Iterator[Found]:
    """Whoever breaks into the server has the node, and all that runs there."""
    for pod, _ in vllm_pods(graph):
        for field, advice in _OF_NODE.items():
            if pod.spec.get(field) is True:
                path = (*pod.path, field)
                text = "is true, which opens the node to the pod, and Pod Security rejects it"
                problem = Problem(where=field, text=text, advice=f"leave it out; {advice}")
                yield Found(manifest=pod.manifest, path=path, problem=problem, fix=remove(path))
        for path, container in pod.all_containers:
            context = mapping(container.get(_CONTEXT))
            if context.get("privileged") is True:
                place = (*path, _CONTEXT, "privileged")
                text = "is true, which gives the container all that the node can do"
                if context.get("allowPrivilegeEscalation") is False:
                    text = "is true beside allowPrivilegeEscalation: false, which is rejected"
                advice = "leave it out: device plugins and resource claims give devices without it"
                problem = Problem(where=f"{_CONTEXT}.privileged", text=text, advice=advice)
                yield Found(manifest=pod.manifest, path=place, problem=problem, fix=remove(place))
