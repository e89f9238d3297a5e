"""The catalogs of this library as tables: models, accelerators, flags and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

Cell: TypeAlias = str | int | float | bool | None
Row: TypeAlias = dict[str, Cell]

GIB = 2**30


def gpus(release: str) -> list[Row]:
    """Every accelerator, with the name that options take.

    Args:
        release: Not asked for: products are those of the library.
    """
    from vllm_constructs.accelerators import amd, google, intel, nvidia

    del release
    rows: list[Row] = [
        _gpu(
            name,
            "WholeGpu",
            one["memory_mib"] / 1024,
            bandwidth=one["memory_gb_per_second"],
            mig=", ".join(sorted(one["mig"])),
        )
        for name, one in nvidia.catalog().items()
    ]
    for kind, memories in (
        ("AmdGpu", amd.MEMORY),
        ("IntelGpu", intel.MEMORY),
        ("Gaudi", intel.GAUDI_MEMORY),
        ("Tpu", {name: one["gib"] for name, one in google.TPUS.items()}),
    ):
        rows += [_gpu(name, kind, gib) for name, gib in memories.items()]
    return rows


def _gpu(
    name: str, kind: str, gib: float, *, bandwidth: int | None = None, mig: str | None = None
) -> Row:
    return {
        "product": name,
        "class": kind,
        "memory GiB": round(gib, 1),
        "bandwidth GB/s": bandwidth,
        "MIG profiles": mig or None,
    }


def models(release: str) -> list[Row]:
    """Every model whose shape is known.

    Args:
        release: Not asked for: models are those of the library.
    """
    from vllm_constructs.memory.shapes import catalog

    del release
    return [
        {
            "model": name,
            "parameters": one["parameters"],
            "weights": str(one["config"].get("torch_dtype", one["config"].get("dtype", "")))
            or None,
            "longest request": one["config"].get("max_position_embeddings"),
            "also": ", ".join(one["also"]) or None,
        }
        for name, one in catalog().items()
    ]


def flags(release: str) -> list[Row]:
    """Every flag of a release.

    Args:
        release: The release of vLLM.
    """
    from vllm_constructs.engine.reserved_flags import RESERVED
    from vllm_constructs.releases.release import catalog

    return [
        {
            "flag": name,
            "option": RESERVED.get(name[2:]) or f"EngineArgs({name[2:].replace('-', '_')}=...)",
            "type": _type(one),
            "default": _plain(one.get("default")),
        }
        for name, one in catalog(release)["flags"].items()
    ]


def _type(flag: Mapping[str, Any]) -> str:
    choices = flag.get("choices")
    return " | ".join(map(str, choices)) if choices else str(flag["type"])


def _plain(value: object) -> Cell:
    import json

    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return json.dumps(value)


def metrics(release: str) -> list[Row]:
    """Every metric of a release.

    Args:
        release: The release of vLLM.
    """
    from vllm_constructs.releases.metric_catalog import metrics_of

    return [
        {"metric": name, "type": one["type"], "labels": ", ".join(one["labels"])}
        for name, one in metrics_of(release).items()
    ]


CATALOGS: dict[str, Callable[[str], list[Row]]] = {
    "models": models,
    "gpus": gpus,
    "flags": flags,
    "metrics": metrics,
}


def found(rows: Sequence[Row], words: Sequence[str]) -> list[Row]:
    """The rows that have all words, in capitals or not, `-` as `_`.

    Args:
        rows: The rows.
        words: What is searched.
    """
    wanted = [_folded(word) for word in words]
    return [row for row in rows if all(word in _folded(_text(row)) for word in wanted)]


def _text(row: Row) -> str:
    return " ".join(str(cell) for cell in row.values() if cell is not None)


def _folded(text: str) -> str:
    return text.lower().replace("_", "-")
