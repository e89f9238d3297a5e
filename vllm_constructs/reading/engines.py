"""Engine: a container that runs vLLM, as a manifest of any origin describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vllm_constructs.engine import command_line_parser as command_lines
from vllm_constructs.workloads.plan_annotations import MODEL, VLLM, read_plan_annotations

from .bounded_yaml import parsed
from .containers import (
    after_serve,
    config_text,
    environment,
    expanded,
    is_ours,
    release_of,
    script_at,
)
from .fields import integer, items, mapping, strings
from .gpus import PodGpus, pod_gpus
from .lazy import lazy
from .manifest import Manifest, Path
from .nodes import SelectedNodes, selected_nodes
from .pods import Pod

if TYPE_CHECKING:
    from vllm_constructs.engine.command_line_parser import CommandLine
    from vllm_constructs.engine.engine_args import EngineArgs
    from vllm_constructs.releases.release import VllmRelease

    from .objects import Objects


class Engine:
    """A container that runs vLLM.

    Attributes:
        pod: The pod template that has it.
        manifest: The object that has that.
        path: The fields that lead to the container.
        container: The container.
        graph: The graph, for what its variables and files refer to.
    """

    def __init__(self, graph: Objects, pod: Pod, path: Path, container: dict[str, Any]) -> None:
        """Read a container.

        Args:
            graph: The graph.
            pod: The pod template that has it.
            path: The fields that lead to the container.
            container: The container.
        """
        self.graph = graph
        self.pod = pod
        self.manifest: Manifest = pod.manifest
        self.path = path
        self.container = container

    @property
    def name(self) -> str:
        """Name of the container."""
        return str(self.container.get("name") or "")

    @lazy
    def image(self) -> str:
        """The image; empty if it is not given."""
        return str(self.container.get("image") or "")

    @lazy
    def release(self) -> VllmRelease:
        """The vLLM in the image; the newest known one if the manifest does not specify it."""
        named = self.manifest.annotations.get(VLLM) or self.graph.settings.vllm
        return release_of(self.image, named if isinstance(named, str) else None)[0]

    @lazy
    def is_ours(self) -> bool:
        """Whether this library has rendered it."""
        return is_ours({"metadata": self.pod.metadata}, self.container)

    @lazy
    def env(self) -> dict[str, str]:
        """The variables whose values are in the manifests, those of ConfigMaps included."""
        configs = self.graph.config_data
        given = self.pod.group_variables
        return environment(self.pod.namespace, self.container, configs, given)

    @lazy
    def env_paths(self) -> dict[str, Path]:
        """The path of each variable of its own."""
        return {str(one.get("name")): path for path, one in self.manifest.each(*self.path, "env")}

    def env_place(self, name: str) -> Path:
        """The path of a variable, or of the list of them.

        Args:
            name: Name of the variable.
        """
        field = "envFrom" if "env" not in self.container else "env"
        return self.env_paths.get(name, (*self.path, field))

    @lazy
    def words(self) -> list[str]:
        """What follows `vllm serve`, with variables of the container expanded."""
        command, args = (
            [expanded(word, self.env) for word in strings(self.container.get(key))]
            for key in ("command", "args")
        )
        if self.is_ours:
            return args
        return after_serve(command, args, self.env) or []

    @lazy
    def line(self) -> CommandLine:
        """The command line, with a config file of the manifests in it."""
        return command_lines.read(self.line_words, self.release)

    @lazy
    def line_words(self) -> list[str]:
        """The words of the command line, those of a config file of the manifests included."""
        at, from_file = self._file_words
        return [*self.words[:at], *from_file, *self.words[at:]]

    @lazy
    def _file_words(self) -> tuple[int, list[str]]:
        """The words that vLLM makes of its config file, and before which word it puts them."""
        at = 1 if self.words and not self.words[0].startswith("-") else 0
        file = self.config_file
        return at, [] if file is None else command_lines.file_words(file, self.release)

    def is_in_file(self, at: int) -> bool:
        """Whether a word of the command line comes from its config file.

        Args:
            at: Number of the word in the line.
        """
        first, from_file = self._file_words
        return first <= at < first + len(from_file)

    def word_place(self, at: int) -> Path:
        """The path of a word of the command line: of the script or the `--config` that has it.

        Args:
            at: Number of the word in the line.
        """
        if self.is_in_file(at):
            return self.flag_place("config")
        first, from_file = self._file_words
        at -= len(from_file) if at >= first else 0
        return self._places[at] if at < len(self._places) else self.flag_place()

    @lazy
    def _places(self) -> list[Path]:
        """The path of each word, or that of the script that has them all."""
        tokens = [
            ((*self.path, key, i), word)
            for key in ("command", "args")
            for i, word in enumerate(strings(self.container.get(key)))
        ]
        rest = tokens[len(tokens) - len(self.words) :]
        if [expanded(word, self.env) for _, word in rest] == self.words:
            return [place for place, _ in rest]
        at = script_at([word for _, word in tokens])
        return [] if at is None else [tokens[at][0]] * len(self.words)

    @lazy
    def config_file(self) -> dict[str, Any] | None:
        """The flags of its `--config` file; None if it has none, or it is in no manifest."""
        flags = None if self.config_text is None else parsed(self.config_text)
        return flags if isinstance(flags, dict) else None

    @lazy
    def config_text(self) -> str | None:
        """The text of its `--config` file; None if it has none, or it is in no manifest."""
        path = self._config_path
        if path is None:
            return None
        configs = self.graph.config_data
        return config_text(path, self.pod.namespace, self.pod.spec, self.container, configs)

    @lazy
    def _config_path(self) -> str | None:
        words = self.words
        for i, word in enumerate(words):
            flag, is_given, value = word.partition("=")
            if flag == "--config":
                return value if is_given else next(iter(words[i + 1 : i + 2]), None)
        return None

    @lazy
    def args(self) -> EngineArgs | None:
        """Its flags; None if vLLM does not start with them."""
        from vllm_constructs.errors import VllmConstructsError

        # Without a size vLLM uses one GPU, even if the pod has more.
        options = {"tensor-parallel-size": 1, **self.line.options}
        try:
            return command_lines.parsed(replace(self.line, options=options), self.release).engine
        except VllmConstructsError:
            return None

    @property
    def is_line_whole(self) -> bool:
        """Whether all its flags are in the manifests, so that one that is missing is not given."""
        has_file = self._config_path is None or self.config_file is not None
        return self.is_line_here and not self.line.unread and has_file

    @property
    def is_line_here(self) -> bool:
        """Whether nothing adds words to those of its container: a patch replaces the whole list."""
        is_replaced = "args" in self.container or "command" in self.container
        return self.pod.is_whole or (self.pod.is_patch and is_replaced)

    @property
    def options(self) -> dict[str, Any]:
        """The flags by their names without dashes, such as `tensor-parallel-size`."""
        return self.line.options

    def flag(self, name: str, default: Any = None) -> Any:
        """The value of a flag.

        Args:
            name: Its name without dashes.
            default: What vLLM takes without it. Default: None.
        """
        return self.line.options.get(name, default)

    def size(self, name: str) -> int:
        """A flag that is a positive number, such as a parallel size; 1 without it.

        Args:
            name: Its name without dashes.
        """
        return max(1, integer(self.line.options.get(name), 1))

    def flag_place(self, *names: str) -> Path:
        """The path of the word that gives a flag; of `args`, `command` or the container without it.

        Args:
            *names: Names of flags without dashes, of which the first one found counts; the empty
                string is the model.
        """
        for name in names:
            for field in ("args", "command"):
                words = strings(self.container.get(field))
                for i, word in enumerate(words):
                    if (_is(word, name) if name else word == self.line.model) or (
                        ("\n" in word or " " in word)
                        and name
                        and f"--{name}" in word.replace("_", "-")
                    ):
                        return (*self.path, field, i)
            for one in self.line.given:
                # By another of its names, or in the config file.
                if one.flag == (name or "model"):
                    return self.word_place(one.at)
        given = [one for one in ("args", "command") if one in self.container]
        return (*self.path, *given[:1])

    @lazy
    def model(self) -> str | None:
        """The model; None if the manifest does not name it."""
        named = self.pod.annotations.get(MODEL)
        source = self.line.model
        is_elsewhere = source is not None and (source.startswith("/") or "://" in source)
        is_named = isinstance(named, str) and bool(named)
        return named if self.is_ours and is_elsewhere and is_named else source

    @lazy
    def served_names(self) -> list[str] | None:
        """The names under which it serves the model; None if the manifest does not say."""
        served = self.line.options.get("served-model-name")
        if "served-model-name" in self.line.unread:
            return None
        if served:
            return [str(one) for one in (served if isinstance(served, list) else [served])]
        known = self.line.model is not None and "model" not in self.line.unread
        return [str(self.line.model)] if known and self.is_line_whole else None

    @lazy
    def port(self) -> int | None:
        """The port of its API; None if the manifest does not say."""
        if "port" in self.line.unread:
            return None
        value = self.line.options.get("port", 8000)
        return value if isinstance(value, int) else None

    @property
    def is_headless(self) -> bool:
        """Whether it serves no HTTP."""
        return self.line.options.get("headless") is True

    @lazy
    def limits(self) -> dict[str, Any]:
        """The limits of its resources."""
        return mapping(self.container, "resources", "limits")

    @lazy
    def nodes(self) -> SelectedNodes:
        """The nodes on which its pods may run."""
        return selected_nodes(self.pod.spec)

    @lazy
    def gpus(self) -> PodGpus:
        """Its GPUs, as far as resources and nodes specify them."""
        return pod_gpus(
            self.limits,
            self.nodes,
            {"tensor-parallel-size": 1, **self.options},
            read_plan_annotations(self.manifest.annotations),
            self.graph.settings.gpu,
            has_claims=bool(items(mapping(self.container, "resources").get("claims"))),
        )

    def mount(self, path: str) -> tuple[Path, Mapping[str, Any]] | None:
        """The mount at a path or at the nearest folder above it; None without one.

        Args:
            path: A path in the container.
        """
        found = [
            (where, one)
            for where, one in self.manifest.each(*self.path, "volumeMounts")
            if path == (folder := str(one.get("mountPath")).rstrip("/"))
            or path.startswith(f"{folder}/")
        ]
        return max(found, key=lambda one: len(str(one[1].get("mountPath"))), default=None)

    def volume(self, mount: Mapping[str, Any]) -> tuple[Path, dict[str, Any]] | None:
        """The volume of a mount, with its path; None if the pod lacks it.

        Args:
            mount: The mount.
        """
        return self.pod.volumes.get(str(mount.get("name")))

    def __repr__(self) -> str:
        return f"<engine of {self.manifest.title}>"


def _is(word: str, name: str) -> bool:
    flag = word.partition("=")[0].replace("_", "-")
    return flag in (f"--{name}", f"--no-{name}") or flag.startswith(f"--{name}.")
