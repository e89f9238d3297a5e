"""The checks of EngineArgs: values of flags, flags together, and flags against a release."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from vllm_constructs import require
from vllm_constructs.errors import Problem, VllmConstructsError, escaped, refuse, warn
from vllm_constructs.frozen import FrozenDict, frozen
from vllm_constructs.releases.release import (
    NEWEST,
    VllmRelease,
    built_in,
    catalog,
    other_spelling,
    releases,
)

from .conflicts import conflict
from .flag_types import check_json, check_value, is_number
from .reserved_flags import RESERVED

if TYPE_CHECKING:
    from collections.abc import KeysView

    from vllm_constructs.releases.release import Catalog

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_BUILT_IN = ("tool_call_parsers", "reasoning_parsers", "kv_connectors")
_LOWEST = {
    "max_num_seqs": 1,
    "max_num_batched_tokens": 1,
    "max_num_queued_reqs": 0,
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "data_parallel_size": 1,
    "max_loras": 1,
    "max_lora_rank": 1,
    "seed": 0,
    "block_size": 1,
}


class CheckedFlags:
    """The base class of `EngineArgs`, with its checks."""

    # How many keywords come first, since most engines are given them.
    _COMMON: ClassVar[int]

    # `EngineArgs` and its subclasses define these.
    __dataclass_fields__: ClassVar[dict[str, Any]]
    extra: Mapping[str, Any]
    delivery: Literal["args", "config-map"]

    def _keep(self, given: Mapping[str, Any], unknown: Mapping[str, object]) -> None:
        """Check the keywords, and keep immutable copies of their values.

        Args:
            given: The keywords with their values; None is left out.
            unknown: Unknown keywords, which are rejected.
        """
        for keyword in unknown:
            self._refuse_keyword(keyword)
        # None leaves a flag out; the delivery is none of them, and always one of two.
        given = {
            name: value for name, value in given.items() if value is not None or name == "delivery"
        }
        vars(self).update({"extra": FrozenDict()} | given)
        self.__post_init__()

    def __post_init__(self) -> None:
        require.choice("EngineArgs.delivery", self.delivery, ("args", "config-map"))
        self._check_values()
        self._check_extra()
        self._check_together()
        # Only now, so that errors show the values as they were given.
        kept = vars(self)
        known = self.keywords()
        kept.update({name: frozen(value) for name, value in kept.items() if name in known})

    @classmethod
    def keywords(cls) -> KeysView[str]:
        """The names of all keywords, the most common ones first."""
        # A subclass may have fields of its own, which are not flags.
        owner: Any = next(owner for owner in cls.__mro__ if "_COMMON" in vars(owner))
        keywords: KeysView[str] = owner.__dataclass_fields__.keys()
        return keywords

    @classmethod
    def _refuse_keyword(cls, keyword: str) -> NoReturn:
        name = keyword.replace("_", "-").lstrip("-")
        where = f"EngineArgs.{require.shown(keyword)[1:-1]}"
        if name in RESERVED:
            refuse(_reserved(where, name))
        own = name.replace("-", "_").lower()
        if own in cls.keywords():
            text = "is spelt as a flag" if "-" in keyword else "is not a keyword"
            refuse(Problem(where=where, text=text, advice=f"write {{{own}}}"))
        known, flag = catalog(), f"--{name}"
        older = [release for release in releases() if flag in catalog(release)["flags"]]
        if older or flag in known["removed"]:
            advice = known["removed"].get(flag, "leave it out")
            advice += f" (up to vLLM {older[-1]}: extra={{{name!r}: ...}})" if older else ""
            text = f"is no longer a flag of vLLM {NEWEST}"
            refuse(Problem(where=where, text=text, advice=escaped(advice)))
        other = (other_spelling(known, flag) or other_spelling(known, f"-{name}")).replace("-", "_")
        if other:
            text = "is an alias or the negation of a flag"
            refuse(Problem(where=where, text=text, advice=f"use {{{other}}} instead"))
        advice = require.nearest(keyword, cls.keywords()) or "look it up in vLLM's documentation"
        refuse(Problem(where=where, text=f"is not a flag of vLLM {NEWEST}", advice=advice))

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # the flags may hold dicts

    def __repr__(self) -> str:
        given = dict(vars(self))
        if not self.extra:
            del given["extra"]
        return f"EngineArgs({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def given(self) -> dict[str, Any]:
        """The flags with keywords that are given, by their Python names."""
        known = self.keywords()
        return {
            name: value
            for name, value in vars(self).items()
            if value is not None and name in known and name not in ("extra", "delivery")
        }

    def get(self, name: str) -> Any:
        """A flag by its Python name, from its keyword or from `extra`; None if it is not given.

        Args:
            name: Name of the flag with underscores, such as `max_num_seqs`.
        """
        value = getattr(self, name, None)
        return self.extra.get(name.replace("_", "-")) if value is None else value

    def _check_values(self) -> None:
        given = self.given()
        for name, value in given.items():
            where = f"EngineArgs.{name}"
            _check_any(where, f"--{name.replace('_', '-')}", value)
            check_number(name, value)
        if self.delivery == "config-map" and not isinstance(
            given.get("middleware"), (str, type(None))
        ):
            refuse(
                Problem(
                    where="EngineArgs.middleware",
                    text="is a list, which vLLM's --config file cannot hold",
                    value=require.shown(given["middleware"]),
                    advice="give one string, or {delivery='args'}",
                )
            )

    def _check_extra(self) -> None:
        if not isinstance(self.extra, Mapping):
            require.wrong("EngineArgs.extra", self.extra, "a dict of flags and values")
        typed = self.keywords()
        for name, value in self.extra.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                plain = str(name).strip("-").replace("_", "-")
                is_near = isinstance(name, str) and _NAME.fullmatch(plain)
                refuse(
                    Problem(
                        where="EngineArgs.extra",
                        text=f"has the key {escaped(require.shown(name))}",
                        value=require.shown(name),
                        allowed="the name of a flag without leading dashes, such as 'max-logprobs'",
                        advice=f"write {plain!r}" if is_near else "",
                    )
                )
            where, keyword = f"EngineArgs.extra[{name!r}]", name.replace("-", "_")
            if name in RESERVED:
                refuse(_reserved(where, name))
            if keyword in typed:
                advice = f"give {{{keyword}=...}} instead"
                refuse(Problem(where=where, text="has a keyword of its own", advice=advice))
            if value is None:
                require.wrong(where, value, "a value", "leave the flag out for vLLM's default")
            check_json(where, value)

    def _check_together(self) -> None:
        given = self.given()
        problem = conflict(given)
        if problem is not None:
            refuse(problem)
        problem = unpinned_code(given)
        if problem is not None:
            warn(problem)

    def check(self, release: VllmRelease) -> None:
        """Reject what the vLLM release of the image does not accept.

        Args:
            release: The vLLM release in the image.

        Raises:
            VllmConstructsError: A flag that the release does not have, or a value that it rejects.
        """
        for name, value in self.given().items():
            self._check_in(release, f"EngineArgs.{name}", name.replace("_", "-"), value)
        for name, value in self.extra.items():
            self._check_in(release, f"EngineArgs.extra[{name!r}]", name, value)
        for needed in plugins_needed(release, self.given(), self.extra):
            warn(needed)
        if self.get("distributed_executor_backend") == "ray":
            problem = ray_problem(release)
            if problem is not None:
                warn(problem)

    @staticmethod
    def _check_in(release: VllmRelease, where: str, name: str, value: object) -> None:
        """Reject a value that the release does not accept."""
        flag = release.flag(where, name)
        try:
            check_value(where, flag, value)
        except VllmConstructsError as error:
            refuse(on_release(release, error.problem))

    def options(self, derived: Mapping[str, Any]) -> dict[str, Any]:
        """All flags and values, in a stable order.

        The most common flags come first, then the derived ones, then all others by their names.

        Args:
            derived: Values of the flags that this library derives, by their names without dashes.
        """
        given = {name.replace("_", "-"): value for name, value in self.given().items()}
        first = (name.replace("_", "-") for name in islice(self.keywords(), self._COMMON))
        options = {name: given.pop(name) for name in first if name in given}
        options.update(derived)
        options.update(sorted((given | dict(self.extra)).items()))
        return options


def _reserved(where: str, name: str) -> Problem:
    return Problem(where=where, text="is reserved by this library", advice=RESERVED[name])


def ray_problem(release: VllmRelease, flag: str = "distributed_executor_backend") -> Problem | None:
    """Why an image cannot use Ray; None if it can, or if that is not known.

    Args:
        release: The vLLM release in the image.
        flag: The flag that asks for Ray, by its Python name. Default: the executor's.
    """
    # An image of an unknown release may be an older one, which has Ray.
    # Those for XPU and TPU have it (requirements/xpu.txt and tpu.txt).
    has_ray = release.version is None or release.behaves("ray-in-image")
    if has_ray or release.family.accelerator in ("XPU", "TPU") or not release.is_official:
        return None
    return Problem(
        where=f"EngineArgs.{flag}",
        text=f"is 'ray', but {release.image!r} has no Ray",
        value="'ray'",
        advice="leave it out, or use an image of your own that has Ray",
    )


def unpinned_code(given: Mapping[str, Any]) -> Problem | None:
    """Why code of the model may change between two starts; None if none runs, or it is pinned.

    Args:
        given: Flags by their Python names, without those that are left out.
    """
    is_pinned = given.get("revision") is not None or given.get("code_revision") is not None
    if not given.get("trust_remote_code") or is_pinned:
        return None
    return Problem(
        where="EngineArgs.trust_remote_code",
        text=(
            "is True without {revision}: code from the model's repository runs here and may "
            "change at any restart"
        ),
        value="True",
        advice="pin {revision} to a commit",
    )


def on_release(release: VllmRelease, problem: Problem) -> Problem:
    """A problem of a value, with the image's release unless it is the newest known one.

    Args:
        release: The vLLM release that rejects the value.
        problem: The problem without a release.
    """
    if release.known == NEWEST:
        return problem
    text = problem.text or f"is {escaped(problem.value)}"
    return replace(problem, text=f"{text} on {release.description}")


def check_number(name: str, value: Any) -> None:
    """Reject a number that vLLM's parser accepts and its engine rejects.

    Args:
        name: Python name of the flag.
        value: Its value, which the parser accepts.

    Raises:
        VllmConstructsError: Such a number.
    """
    where = f"EngineArgs.{name}"
    if name in _LOWEST and not isinstance(value, str):
        most = 2**32 - 1 if name == "seed" else 2**31 - 1
        require.integer(where, value, _LOWEST[name], most)
    elif name == "gpu_memory_utilization":
        require.ratio(where, value)
    elif name == "cpu_offload_gb" and float(value) < 0:
        require.wrong(where, value, "0 GiB or more")
    elif name == "max_model_len" and value != "auto":
        if value == -1:
            require.wrong(where, -1, "a number of tokens, or 'auto' for what fits")
        require.integer(where, value, 1, 2**31 - 1, "tokens")
    elif isinstance(value, Mapping):
        _check_numbers_in(name, value)


def _check_numbers_in(name: str, value: Mapping[str, Any]) -> None:
    where = f"EngineArgs.{name}"
    if name == "limit_mm_per_prompt":
        for kind, limit in value.items():
            if not isinstance(limit, Mapping) and not is_number(limit, whole=True):
                require.integer(f"{where}[{kind!r}]", limit, 0, 2**31 - 1)
    ahead = value.get("num_speculative_tokens")
    if name == "speculative_config" and isinstance(ahead, int):
        require.integer(f"{where}['num_speculative_tokens']", ahead, 1, 1024, "tokens")


def plugins_needed(
    release: VllmRelease, given: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> Iterator[Problem]:
    """Names that are not built into a release, so that the image needs a plugin that adds them.

    One rule for connectors, load formats, parsers, quantization methods and others.

    Args:
        release: The release in the image.
        given: Flags by their Python names.
        extra: Flags without keywords, by their names without dashes. Default: none.
    """
    flags = [(f"EngineArgs.{name}", name.replace("_", "-"), given[name]) for name in given]
    flags += [(f"EngineArgs.extra[{name!r}]", name, value) for name, value in (extra or {}).items()]
    for where, name, value in flags:
        known = [str(one) for one in _known_of(release.catalog, name)]
        yield from _plugin(release, where, value, known)
    transfer = given.get("kv_transfer_config")
    transfer = transfer if isinstance(transfer, Mapping) else {}
    reasoning = given.get("reasoning_parser")
    named = (
        ("tool_call_parser", given.get("tool_call_parser"), given.get("tool_parser_plugin")),
        (
            "reasoning_parser",
            # For vLLM "none" means no parser.
            None if str(reasoning).lower() == "none" else reasoning,
            given.get("reasoning_parser_plugin"),
        ),
        (
            "kv_transfer_config['kv_connector']",
            transfer.get("kv_connector"),
            transfer.get("kv_connector_module_path"),
        ),
    )
    for (name, value, plugin), kind in zip(named, _BUILT_IN, strict=True):
        if plugin is None:
            yield from _plugin(release, f"EngineArgs.{name}", value, built_in(release.known, kind))


def _plugin(
    release: VllmRelease, where: str, value: object, known: Collection[str]
) -> Iterator[Problem]:
    """A name that is neither built into a release nor that of a class."""
    lowered = {one.lower() for one in known}
    if not known or not isinstance(value, str) or value.lower() in lowered or "." in value:
        return
    shown = require.shown(value)
    yield Problem(
        where=where,
        text=(
            f"is {escaped(shown)}, which is not built into {release.description}, so that the "
            "image needs a plugin that adds it"
        ),
        value=shown,
        advice=require.nearest(value, sorted(known)),
    )


def _known_of(known: Catalog, name: str) -> Sequence[object]:
    """The names that a flag knows, beside which plugins may add some."""
    flags = known["flags"]
    if name == "attention-backend" and "--attention-config" in flags:
        # An alias of that flag's key, whose parser accepts any string.
        fields = flags["--attention-config"].get("fields", {})
        return fields["backend"].get("known", ()) if "backend" in fields else ()
    flag = flags.get(f"--{name}")
    return flag.get("known", ()) if flag else ()


def _check_any(where: str, flag: str, value: object) -> None:
    """Reject a value that no release accepts; the image's release is not known here."""
    try:
        check_value(where, catalog()["flags"][flag], value)
    except VllmConstructsError:
        for release in releases():
            known = catalog(release)["flags"].get(flag)
            if release != NEWEST and known is not None and _accepts(known, value):
                return
        raise


def _accepts(flag: Any, value: object) -> bool:
    try:
        check_value("", flag, value)
    except VllmConstructsError:
        return False
    return True
