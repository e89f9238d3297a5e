"""The release catalog's files: that they agree with the facts and with each other."""

import datetime as dt
import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests import strategies
from vllm_constructs.releases.release import NEWEST

ROOT = Path(__file__).parents[1]
DATA = ROOT / "vllm_constructs" / "data"


def load(release: str) -> dict[str, Any]:
    """Return the data file of a release."""
    found = json.loads((DATA / f"vllm-{release}.json").read_text(encoding="utf-8"))
    return dict(found)


def order(release: str) -> tuple[int, ...]:
    """Return what releases are sorted by."""
    return tuple(int(part) for part in release.split("."))


SHIPPED = sorted((path.stem.removeprefix("vllm-") for path in DATA.glob("vllm-*.json")), key=order)
OLDER = SHIPPED[:-1]

# Kinds that the parser of any shipped release has, and of a JSON flag's fields.
KINDS = {
    "bool",
    "comma-list(int|str)",
    "float",
    "human-readable-int",
    "human-readable-int-or-auto",
    "int",
    "json",
    "json-or-str",
    "str",
    "str(lower,-→_)",
}
ONE = r"(any|bool|dict|float|int|str|list(\[[a-z|]+\]|\[list\[[a-z]+\]\])?)"
FIELD = re.compile(rf"{ONE}(\|{ONE})*(\|null)?")
VARIABLE = re.compile(r"(bool|float|int|str|json|(list|set)\[str\])")

# Registered by a table that the facts' list of metrics leaves out:
# get_connector_metric_definitions in distributed/kv_transfer/kv_connector/v1/offloading/metrics.py.
NOT_IN_FACTS = {
    "vllm:kv_offload_allocation_failure_total",
    "vllm:kv_offload_load_bytes_total",
    "vllm:kv_offload_load_size",
    "vllm:kv_offload_load_time_total",
    "vllm:kv_offload_lookup_async_delay_seconds",
    "vllm:kv_offload_lookup_sync_delay_seconds",
    "vllm:kv_offload_store_bytes_total",
    "vllm:kv_offload_store_size",
    "vllm:kv_offload_store_time_total",
}
# The facts found 0/1 by the text of one expression; these call int() elsewhere in envs.py, and the
# facts say nothing of their syntax.
STRICT_TOO = {
    "VLLM_DISABLE_COMPILE_CACHE",
    "VLLM_SKIP_VERSION_SUFFIX",
    "VLLM_USE_SIMPLE_KV_OFFLOAD",
    "VLLM_USE_SPINLOOP_EXT",
}
# The facts give the first of two lists of choices, and choices of a list's items as its own.
OTHER_CHOICES = {
    ("--pooler-config", "pooling_type"),
    ("--profiler-config", "torch_profiler_activities"),
}
# Not in the parser: the facts name the values for the reader.
KNOWN_FROM_ELSEWHERE = {"--reasoning-parser", "--tool-call-parser"}


def spellings(release: dict[str, Any]) -> set[str]:
    """Return every name that the parser of a release takes."""
    found = set(release["flags"])
    for flag in release["flags"].values():
        found |= {*flag.get("negations", ()), *flag.get("aliases", ())}
        found |= {flag["negation"]} if "negation" in flag else set()
    return found


def fields_in(flag: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return all fields of a flag's JSON, nested ones too."""
    found = []
    for key in ("fields", "engine_fields"):
        for name, one in flag.get(key, {}).items():
            found += [(name, one), *fields_in(one)]
    return found


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script that makes the files."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("release_data")


def same(expected: object, actual: object) -> bool:
    """Return whether lists hold the same, in whatever order."""
    theirs = expected if isinstance(expected, list) else []
    ours = actual if isinstance(actual, list) else []
    return sorted(map(str, theirs)) == sorted(map(str, ours))


# The newest release and the facts about it.


def test_facts_of_flags() -> None:
    """Every flag is as the real parser has it."""
    ours = load("0.33.0")["flags"]
    theirs = {
        one["flag"]: one
        for one in strategies.facts("vllm-0.33.0-flags.json")
        if not one.get("positional")
    }

    assert set(theirs) == set(ours)
    for name, fact in theirs.items():
        flag = ours[name]
        kind, _, config = fact["type"].partition(":")
        assert (name, kind) == (name, flag["type"])
        assert (name, fact.get("nargs")) == (name, flag.get("nargs"))
        assert (name, bool(fact.get("deprecated"))) == (name, flag.get("deprecated", False))
        assert (name, fact["action"] == "_AppendAction") == (name, flag.get("append", False))
        assert same(fact.get("choices"), flag.get("choices")), name
        assert same(fact.get("aliases"), flag.get("aliases")), name
        negations = [flag["negation"]] if "negation" in flag else []
        assert same(fact.get("negations"), negations + flag.get("negations", [])), name
        is_nothing = bool(fact.get("optional_none"))
        if flag.get("nargs") is None and kind != "bool":
            assert (name, is_nothing) == (name, flag.get("optional", False))
        if config:
            assert (name, config) == (name, flag["class"])
        else:
            assert (name, fact["default"]) == (name, flag.get("default"))
        if isinstance(fact.get("known_values"), list) and name not in KNOWN_FROM_ELSEWHERE:
            assert same(fact["known_values"], flag["known"]), name


def test_facts_of_fields() -> None:
    """Every field of a JSON flag has the choices and the default that the real class has."""
    ours = load("0.33.0")["flags"]
    compared = 0
    for fact in strategies.facts("vllm-0.33.0-flags.json"):
        theirs = fact.get("json_fields") or {}
        fields = ours[fact["flag"]].get("fields", {}) if theirs else {}
        assert (fact["flag"], set(theirs)) == (fact["flag"], set(fields))
        for name, one in fields.items():
            if "fields" in one or "internal" in one:
                continue
            where = (fact["flag"], name)
            choices = [choice for choice in theirs[name]["choices"] or [] if choice is not None]
            if where not in OTHER_CHOICES:
                assert same(choices, one.get("choices")), where
            assert (where, theirs[name]["default"]) == (where, one.get("default"))
            compared += 1

    assert compared > 150


def test_facts_of_metrics() -> None:
    """Every metric has the exposed name, type and labels that the real logger gives it."""
    ours = load("0.33.0")["metrics"]
    theirs = {
        one["exposed_name"]: one for one in strategies.facts("vllm-0.33.0-metrics.json")["metrics"]
    }

    assert set(theirs) | NOT_IN_FACTS == set(ours)
    for name, fact in theirs.items():
        labels = set(fact.get("labels") or [])
        assert (name, fact["type"]) == (name, ours[name]["type"])
        assert (name, bool(fact.get("deprecated"))) == (name, ours[name].get("deprecated", False))
        # Of what only runs with a connector, the facts have the labels that all metrics share.
        assert (name, labels - set(ours[name]["labels"])) == (name, set())
        if fact["in_default_exposition"]:
            assert (name, sorted(labels)) == (name, ours[name]["labels"])


def test_facts_of_variables() -> None:
    """Every variable has the type, syntax and service link that the real module has."""
    ours = load("0.33.0")["environment"]
    theirs = {one["name"]: one for one in strategies.facts("vllm-0.33.0-envs.json")}

    assert set(theirs) == set(ours)
    strict = {name for name, one in theirs.items() if "int() parse" in one.get("bool_syntax", "")}
    assert strict | STRICT_TOO == {name for name, one in ours.items() if "syntax" in one}
    for name, fact in theirs.items():
        declared = fact.get("type", "").removesuffix(" | None")
        if declared.startswith("Literal"):
            assert (name, len(ours[name]["choices"])) == (name, declared.count("'") // 2)
        elif declared:
            kind = "json" if declared.startswith("dict") else declared
            assert (name, kind) == (name, ours[name]["type"])
        link = fact.get("k8s_service_link_collision")
        assert (name, link and link.split()[0]) == (name, ours[name].get("service"))


def test_facts_of_defaults() -> None:
    """A variable that is unset has the value that the real module gives it."""
    ours = load("0.33.0")["environment"]
    theirs = {
        one["name"]: one["effective_default"]
        for one in strategies.facts("vllm-0.33.0-envs.json")
        if "effective_default" in one
    }
    # One is made up at each start, one is the machine's, and one is a set, which JSON has not.
    del theirs["VLLM_OBJECT_STORAGE_SHM_BUFFER_NAME"]
    del theirs["VLLM_RPC_BASE_PATH"]
    del theirs["VLLM_GPT_OSS_SYSTEM_TOOL_MCP_LABELS"]

    for name, expected in theirs.items():
        home = expected.replace("/root", "~") if isinstance(expected, str) else expected
        assert (name, home) == (name, ours[name]["default"])


def test_facts_of_parsers() -> None:
    """The names of parsers are those that are registered."""
    theirs = strategies.facts("vllm-0.33.0-parsers.json")
    ours = load("0.33.0")

    assert sorted(theirs["tool_call_parsers"]) == ours["tool_call_parsers"]
    assert sorted(theirs["reasoning_parsers"]) == ours["reasoning_parsers"]


# All releases.


def test_releases() -> None:
    """The newest file is of the newest release, and the oldest is nine months older or more."""
    days = [dt.date.fromisoformat(load(release)["date"]) for release in SHIPPED]

    assert SHIPPED[-1] == NEWEST
    assert len(OLDER) >= 3
    assert days == sorted(days)
    assert (days[-1] - days[0]).days >= 9 * 31


@pytest.mark.parametrize("name", [*(f"vllm-{release}" for release in SHIPPED), "replaced"])
def test_bytes(name: str, script: ModuleType) -> None:
    """A file that is read and written again is the same, and small."""
    text = (DATA / f"{name}.json").read_text(encoding="utf-8")

    assert script.dumps(json.loads(text)) == text
    assert len(text.encode()) < 150_000


@pytest.mark.parametrize("release", SHIPPED)
def test_shape_of_flags(release: str) -> None:
    """Each flag says only what belongs together."""
    found = load(release)

    assert found["release"] == release
    for name, flag in found["flags"].items():
        assert re.fullmatch(r"--[a-z0-9]+(-[a-z0-9]+)*", name)
        assert (name, flag["type"] in KINDS) == (name, True)
        if "negation" in flag:
            assert (name, flag["type"]) == (name, "bool")
        assert (name, flag.get("nargs")) in ((name, None), (name, "?"), (name, "+"))
        assert (name, "choices" in flag and "known" in flag) == (name, False)
        assert (name, "class" in flag) == (name, "fields" in flag or "engine_fields" in flag)
        default = flag.get("default")
        if "choices" in flag and isinstance(default, (str, int)):
            assert (name, default in flag["choices"]) == (name, True)
        for field, one in fields_in(flag):
            where = f"{name}.{field} is {one['type']}"
            assert (where, bool(FIELD.fullmatch(one["type"]))) == (where, True)
            assert set(one) <= {
                *("type", "default", "choices", "known", "items", "fields", "internal"),
            }


@pytest.mark.parametrize("release", SHIPPED)
def test_spellings(release: str) -> None:
    """No name means two flags."""
    flags = load(release)["flags"]
    names = [
        name
        for flag, one in flags.items()
        for name in (flag, one.get("negation"), *one.get("negations", ()), *one.get("aliases", ()))
        if name
    ]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("release", SHIPPED)
def test_shape_of_metrics(release: str) -> None:
    """Each metric has a name that its type allows, and labels that Prometheus allows."""
    for name, one in load(release)["metrics"].items():
        assert re.fullmatch(r"vllm:[a-z0-9_]+", name)
        assert (name, one["type"] in ("counter", "gauge", "histogram")) == (name, True)
        # vllm:iteration_tokens_total is a histogram all the same.
        if one["type"] == "counter":
            assert name.endswith("_total")
        assert one["labels"] == sorted(set(one["labels"]))
        assert [label for label in one["labels"] if not re.fullmatch(r"[a-z_]+", label)] == []


@pytest.mark.parametrize("release", SHIPPED)
def test_shape_of_variables(release: str) -> None:
    """Each variable has a type, and a boolean one what switches it on."""
    for name, one in load(release)["environment"].items():
        assert (name, bool(VARIABLE.fullmatch(one["type"]))) == (name, True)
        is_switch = ("syntax" in one) != ("on" in one)
        assert (name, is_switch) == (name, one["type"] == "bool")
        assert one.get("syntax", "0/1") == "0/1"
        if "service" in one:
            assert name == one["service"].upper().replace("-", "_") + "_PORT"


@pytest.mark.parametrize("release", SHIPPED)
def test_shape_of_removed(release: str) -> None:
    """What is called removed is not there, and what is told instead is."""
    found = load(release)
    replaced = json.loads((DATA / "replaced.json").read_text(encoding="utf-8"))
    known = {
        "flags": spellings(found),
        "metrics": set(found["metrics"]),
        "environment": set(found["environment"]),
    }
    for kind, key in (
        ("flags", "removed"),
        ("metrics", "removed_metrics"),
        ("environment", "removed_environment"),
    ):
        assert set(found[key]) & known[kind] == set()
        assert set(found[key]) <= set(replaced[kind])
        for name, say in found[key].items():
            assert say == replaced[kind][name]["say"]
            told = {by.partition(".")[0] for by in replaced[kind][name].get("by", ())}
            assert told <= set().union(*known.values())


@pytest.mark.parametrize("release", OLDER)
def test_removed_later(release: str) -> None:
    """What is removed in an older release is in no newer one."""
    newer = [load(one) for one in SHIPPED if order(one) > order(release)]
    flags = set(load(release)["removed"])
    metrics = set(load(release)["removed_metrics"])

    # It went as a flag of its own and came back as the negation of another.
    back = {"--disable-log-requests"}
    assert [name for one in newer for name in flags & spellings(one) - back] == []
    assert [name for one in newer for name in metrics & set(one["metrics"])] == []


@pytest.mark.parametrize("release", SHIPPED)
def test_words(release: str) -> None:
    """No text is long enough to be a copied help text."""

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for one in value.values() for text in texts(one)]
        if isinstance(value, list):
            return [text for one in value for text in texts(one)]
        return [value] if isinstance(value, str) else []

    found = load(release)
    told = [*found.pop("removed").values(), *found.pop("removed_metrics").values()]
    told += found.pop("removed_environment").values()

    assert [text for text in texts(found) if len(text) > 70] == []
    assert [text for text in told if len(text) > 130 or text.endswith(".")] == []


# What came and went: a release that has it, one that lacks it.
CAME_AND_WENT = [
    # Marked deprecated with runner and convert in its place, then dropped.
    ("flags", "--task", "0.12.0", "0.16.0"),
    # Renamed: --cudagraph-capture-sizes.
    ("flags", "--cuda-graph-sizes", "0.12.0", "0.16.0"),
    # The V1 engine never swapped; the flag outlived V0.
    ("flags", "--swap-space", "0.16.0", "0.22.1"),
    ("flags", "--disable-frontend-multiprocessing", "0.16.0", "0.22.1"),
    # Partial prefills and scales computed at run time were dropped.
    ("flags", "--max-num-partial-prefills", "0.22.1", "0.28.0"),
    ("flags", "--calculate-kv-scales", "0.22.1", "0.28.0"),
    # Took the place of VLLM_ATTENTION_BACKEND.
    ("flags", "--attention-backend", "0.16.0", "0.12.0"),
    # Lets running requests end before the server does.
    ("flags", "--shutdown-timeout", "0.22.1", "0.16.0"),
    ("flags", "--fail-on-environ-validation", "0.22.1", "0.16.0"),
    ("flags", "--device-ids", "0.28.0", "0.22.1"),
    # The queue's limits, beyond which a request is answered with 503.
    ("flags", "--max-num-queued-reqs", "0.33.0", "0.28.0"),
    ("flags", "--sse-keep-alive-interval", "0.33.0", "0.28.0"),
    # Renamed in 0.11 as vllm:inter_token_latency_seconds, then hidden, then dropped.
    ("metrics", "vllm:time_per_output_token_seconds", "0.12.0", "0.16.0"),
    ("metrics", "vllm:prompt_tokens_recomputed_total", "0.16.0", "0.22.1"),
    ("metrics", "vllm:num_requests_waiting_by_reason", "0.22.1", "0.16.0"),
    ("metrics", "vllm:estimated_flops_per_gpu_total", "0.22.1", "0.16.0"),
    ("metrics", "vllm:tool_call_parser_invocations_total", "0.28.0", "0.22.1"),
    # Counts what the queue's limits refuse.
    ("metrics", "vllm:admission_rejections_total", "0.33.0", "0.28.0"),
    # Its flag is --attention-backend.
    ("environment", "VLLM_ATTENTION_BACKEND", "0.12.0", "0.16.0"),
    ("environment", "VLLM_RPC_TIMEOUT", "0.22.1", "0.28.0"),
    # Bounds the start where API servers run beside the engines.
    ("environment", "VLLM_ENGINE_READY_TIMEOUT_S", "0.16.0", "0.12.0"),
    ("tool_call_parsers", "minimax", "0.22.1", "0.28.0"),
    ("tool_call_parsers", "gemma4", "0.33.0", "0.12.0"),
    ("kv_connectors", "P2pNcclConnector", "0.22.1", "0.28.0"),
    ("kv_connectors", "NixlPullConnector", "0.28.0", "0.22.1"),
]


@pytest.mark.parametrize(("kind", "name", "having", "lacking"), CAME_AND_WENT)
def test_changes(kind: str, name: str, having: str, lacking: str) -> None:
    """What one release has another lacks."""
    assert name in load(having)[kind]
    assert name not in load(lacking)[kind]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("flags", "--max-model-len"),
        ("metrics", "vllm:num_requests_waiting"),
        ("metrics", "vllm:inter_token_latency_seconds"),
        ("environment", "VLLM_HTTP_TIMEOUT_KEEP_ALIVE"),
        ("tool_call_parsers", "hermes"),
    ],
)
def test_constants(kind: str, name: str) -> None:
    """What all releases have is in every file."""
    assert [release for release in SHIPPED if name not in load(release)[kind]] == []


@pytest.mark.parametrize(
    ("flag", "key", "older", "newer"),
    [
        ("--gpu-memory-utilization", "default", ("0.16.0", 0.9), ("0.22.1", 0.92)),
        ("--allowed-origins", "default", ("0.28.0", ["*"]), ("0.33.0", [])),
        (
            "--max-model-len",
            "type",
            ("0.12.0", "human-readable-int"),
            ("0.16.0", "human-readable-int-or-auto"),
        ),
        ("--mamba-cache-mode", "deprecated", ("0.28.0", None), ("0.33.0", True)),
    ],
)
def test_changed_flags(
    flag: str, key: str, older: tuple[str, object], newer: tuple[str, object]
) -> None:
    """A default, type or mark that changed is the one of its own release."""
    for release, expected in (older, newer):
        assert load(release)["flags"][flag].get(key) == expected


def test_changed_fields() -> None:
    """JSON that one release takes another refuses."""
    older = load("0.28.0")["flags"]["--kv-transfer-config"]["fields"]
    newer = load("0.33.0")["flags"]["--kv-transfer-config"]["fields"]

    assert set(older) - set(newer) == {"kv_buffer_size", "kv_ip", "kv_parallel_size", "kv_rank"}


def test_marks() -> None:
    """What is deprecated or hidden is marked so."""
    oldest, newest = load("0.12.0"), load("0.33.0")

    assert oldest["flags"]["--task"]["deprecated"] is True
    assert oldest["metrics"]["vllm:time_per_output_token_seconds"]["hidden"] is True
    assert newest["metrics"]["vllm:kv_offload_size"]["deprecated"] is True
    assert newest["flags"]["--log-config-file"]["removal"] == "0.33.0"
