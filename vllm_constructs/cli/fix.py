"""`vllm-constructs check --fix`: mends files, and shows the changes that need a decision."""

from __future__ import annotations

import difflib
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vllm_constructs.dataclass import dataclass
from vllm_constructs.reading.edits import edited
from vllm_constructs.reading.positions import Text

from . import reports

if TYPE_CHECKING:
    from vllm_constructs.formats.report import Entry, Report
    from vllm_constructs.reading.files import Manifests, Origin
    from vllm_constructs.rules.rule import Fix, Rule

    from .settings import Defaults

# A mended field may need another one: a deadline follows from a budget.
_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class _Document:
    """A document of a file, and its new text."""

    origin: Origin
    text: Text


def run(found: Manifests, rules: Sequence[Rule], given: Defaults) -> tuple[str, int]:
    """The output of the verb, and its exit code.

    Args:
        found: The manifests.
        rules: The rules.
        given: The options.
    """
    mended: list[str] = []
    report = reports.report_of(found, rules, given)
    for _ in range(_ROUNDS):
        done, documents = _safe(report)
        if not done:
            break
        mended += [
            f"{entry.place}: {entry.finding.rule.id}: mended {entry.field}" for entry in done
        ]
        _write(documents)
        found = _again(found)
        report = reports.report_of(found, rules, given)
    parts = ["\n".join(mended)] if mended else []
    parts += list(_proposals(report))
    parts.append(reports.shown(report, given.format))
    return "\n\n".join(parts), reports.exit_code(report, given.fail_on)


def _safe(report: Report) -> tuple[list[Entry], dict[str, list[_Document]]]:
    """The findings that are mended, and the changed documents of each file."""
    done: list[Entry] = []
    texts: dict[int, _Document] = {}
    for entry in report.entries:
        fix, text = entry.finding.fix, entry.origin.text
        if fix is None or not fix.is_safe or text is None:
            continue
        before = texts.get(id(text))
        after = _edited(before.text if before else text, entry.origin, fix)
        if after is not None:
            texts[id(text)] = _Document(origin=entry.origin, text=after)
            done.append(entry)
    files: dict[str, list[_Document]] = defaultdict(list)
    for document in texts.values():
        files[document.origin.file].append(document)
    return done, files


def _edited(text: Text, origin: Origin, fix: Fix) -> Text | None:
    return edited(text, [((*origin.fields, *edit.path), edit.value) for edit in fix.edits])


def _write(files: dict[str, list[_Document]]) -> None:
    for file, documents in files.items():
        path = Path(file)
        content = path.read_bytes().decode()
        # From the end, so that the places of the others stay.
        for one in sorted(documents, key=lambda one: one.text.first, reverse=True):
            old = one.origin.text
            if old is not None:
                content = _with(content, old, one.text)
        # In one step, so that nothing is lost if it fails.
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(content.encode())
        shutil.copymode(path, new)
        new.replace(path)


def _with(content: str, old: Text, new: Text) -> str:
    """A file with a changed document."""
    start = 0
    for _ in range(old.first):
        start = content.index("\n", start) + 1
    end = start + len(old.text)
    return content[:start] + new.text + content[end:]


def _again(found: Manifests) -> Manifests:
    from vllm_constructs.reading import files

    names = list(dict.fromkeys(origin.file for origin in found.origins))
    parts = [files.read(Path(name)) for name in names]
    left = files.Manifests(objects=[], origins=[], unread=found.unread)
    return files.joined([*parts, left])


def _proposals(report: Report) -> Iterator[str]:
    """The changes that need a decision, as diffs."""
    for entry in report.entries:
        fix, text = entry.finding.fix, entry.origin.text
        after = None if fix is None or text is None else _edited(text, entry.origin, fix)
        if after is None or text is None:
            continue
        lines = difflib.unified_diff(
            text.text.splitlines(), after.text.splitlines(), lineterm="", n=2
        )
        hidden = _secret_texts(entry.origin, report)
        changes = [_shown(line, hidden) for line in list(lines)[2:]]
        head = f"{entry.finding.rule.id} {entry.place}: this would mend it"
        yield "\n".join([head, *changes])


def _secret_texts(origin: Origin, report: Report) -> set[str]:
    """The lines of a document that are not shown, since they have secrets."""
    text = origin.text
    lines = [] if text is None else text.text.splitlines()
    return {
        line
        for number, line in enumerate(lines, 1 + (text.first if text else 0))
        if (origin.file, number) in report.secret
    }


def _shown(line: str, hidden: set[str]) -> str:
    return f"{line[:1]}(not shown: a secret in clear text)" if line[1:] in hidden else line
