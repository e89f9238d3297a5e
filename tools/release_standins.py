"""Stand-ins for what a vLLM wheel imports and nobody wants to install to read its parser.

`vllm serve` builds its parser from config classes whose modules import torch, transformers and
some fifty other packages, none of which has a say in what flags there are. `install` makes every
package that is missing importable: whatever is asked of it is a class that can be called,
subclassed, compared and used as a type hint. Only `release_reader.py` uses it, in a process of
its own.
"""

from __future__ import annotations

import abc
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import re
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Union

# High enough for every "at least this version"; used where the wheel pins none.
_VERSION = "99.0.0"
# The marker by which vLLM takes itself for its CPU build, the only platform that it finds without
# asking a driver. No flag depends on it.
_CPU = f"{_VERSION}+cpu"
# Versions that the wheel pins: some defaults depend on torch's.
_pins: dict[str, str] = {}
_PIN = re.compile(r"^Requires-Dist: ([\w.-]+)==([\w.]+)\s*$", re.MULTILINE)

# Parts of the wheel that are compiled or vendored, which are stood in for as well.
_COMPILED = re.compile(r"vllm\.(_C|_moe_C|_rocm_C|vllm_flash_attn|third_party)")

# Their absence says "this is not my platform".
_ABSENT = frozenset({"amdsmi", "libtpu", "pathwaysutils", "torch_xla", "zentorch"})

# Module paths that must be the wheel's own: a flag comes from here.
_REAL = re.compile(
    r"vllm\.(envs|config(\..*)?|engine\.arg_utils|utils\.argparse_utils|tool_parsers|reasoning"
    r"|entrypoints\.openai\.tool_parsers|.*\.cli_args|.*\.abs(tract)?_\w*parsers?)"
)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_decorated(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call looks like the use of a decorator, which must give back what it got."""
    return (
        len(args) == 1
        and not kwargs
        and (isinstance(args[0], (types.FunctionType, type)) and not isinstance(args[0], _Meta))
    )


class _Meta(abc.ABCMeta):
    """The class of stand-in classes, so that they mix with abstract classes and protocols."""

    _stands_in: bool

    def __getattr__(cls, name: str) -> Any:
        if _is_dunder(name):
            raise AttributeError(name)
        found = stand_in(f"{cls.__module__}.{cls.__qualname__}", name)
        setattr(cls, name, found)
        return found

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.__dict__.get("_stands_in") and _is_decorated(args, kwargs):
            return args[0]
        return super().__call__(*args, **kwargs)

    def __getitem__(cls, key: object) -> Any:
        return cls

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __len__(cls) -> int:
        return 0

    def __contains__(cls, item: object) -> bool:
        return False

    def __or__(cls, other: Any) -> Any:
        return Union[cls, other]  # noqa: UP007  (the operator would come back here)

    def __ror__(cls, other: Any) -> Any:
        return Union[other, cls]  # noqa: UP007

    def __lt__(cls, other: object) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__


class StandIn(metaclass=_Meta):
    """Whatever it is asked to be."""

    _stands_in: ClassVar[bool] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if _is_dunder(name):
            raise AttributeError(name)
        return getattr(type(self), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Give back what is decorated, else itself."""
        return args[0] if _is_decorated(args, kwargs) else self

    def __getitem__(self, key: object) -> Any:
        return self

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StandIn)

    def __hash__(self) -> int:
        return 1

    def __lt__(self, other: object) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def __index__(self) -> int:
        return 0

    __int__ = __index__

    def __float__(self) -> float:
        return 0.0

    def __add__(self, other: object) -> Any:
        return self

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __floordiv__ = __add__
    __and__ = __or__ = __ror__ = __add__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        return core_schema.any_schema()


def stand_in(module: str, name: str) -> Any:
    """A class of that name; an exception where the name says so, since it may be caught."""
    if name.endswith(("Error", "Exception", "Warning")):
        return type(name, (Exception,), {"__module__": module})
    return _Meta(name, (StandIn,), {"__module__": module, "_stands_in": True})


class _Module(types.ModuleType):
    """A module that has every attribute."""

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return _pins.get(self.__name__, _VERSION)
        if _is_dunder(name):
            raise AttributeError(name)
        found = stand_in(self.__name__, name)
        setattr(self, name, found)
        return found


class _Missing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what nothing else has found."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  (the caller gives it)
        target: types.ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top in sys.stdlib_module_names or top in _ABSENT:
            return None
        if top == "vllm" and not _COMPILED.match(fullname):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__path__ = []


class _Forgiving(importlib.machinery.SourceFileLoader):
    """Loads a module of the wheel; what cannot run without its imports becomes a stand-in."""

    def exec_module(self, module: types.ModuleType) -> None:
        try:
            super().exec_module(module)
        except Exception as error:
            if _REAL.fullmatch(module.__name__):
                raise
            reason = " ".join(str(error).split())[:100]
            print(f"stand-in for {module.__name__}: {reason}", file=sys.stderr)
            module.__class__ = _Module


class _Wheel(importlib.abc.MetaPathFinder):
    """Finds the modules of the wheel."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith("vllm.") or _COMPILED.match(fullname):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Forgiving(fullname, spec.loader.path)
        return spec


_real_version = importlib.metadata.version


def _version(distribution_name: str) -> str:
    try:
        return _real_version(distribution_name)
    except importlib.metadata.PackageNotFoundError:
        return _CPU if distribution_name == "vllm" else _pins.get(distribution_name, _VERSION)


def _signature(*_: object, **__: object) -> str:
    return "() -> ()"


def install(wheel: Path) -> None:
    """Make the unpacked wheel importable as `vllm`, and all that it misses too.

    `vllm/__init__.py` itself is not run: it only sets torch up.
    """
    for metadata in wheel.glob("vllm-*.dist-info/METADATA"):
        _pins.update(_PIN.findall(metadata.read_text(encoding="utf-8")))
    sys.modules["regex"] = re
    package = _Module("vllm")
    package.__path__ = [str(wheel / "vllm")]
    sys.modules["vllm"] = package
    sys.meta_path.insert(0, _Wheel())
    sys.meta_path.append(_Missing())
    importlib.metadata.version = _version
    torch: Any = importlib.import_module("torch")
    torch.version.hip = None
    # An operator is registered by the text of its signature, which only torch can infer.
    torch.library.infer_schema = _signature
