"""Credentials in clear: what belongs into a Secret, found by its name and by its value.

Manifests are committed and shown, so a credential in variables, flags, command lines and files is
rejected, and no error shows it. What only looks like one can be given through a Secret as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vllm_constructs import require
from vllm_constructs.errors import Problem, escaped, refuse

_NAME = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|REQUIREPASS|MASTERAUTH|REDISCLI_AUTH)S?$"
    r"|(^|_)(PASS|PWD|PAT|TOKEN|SECRETS?|CREDENTIALS?|AUTHORIZATION|CONNECTION_STRING"
    r"|SECRET_KEY_BASE|(API|ACCESS|ACCOUNT|ENCRYPTION|OPENAI|PRIVATE|SECRET|SIGNING|SSH|STORAGE)"
    r"_?KEYS?|ACCESS_KEY_ID)$",
    re.IGNORECASE,
)
# What stands for no credential, switches, references, and paths of files that hold one.
_NONE = re.compile(
    r"(|-|empty|none|null|dummy|unused|not[-_ ]?used|[01]|true|false|yes|no|on|off|~?/.*"
    r"|(Bearer |Basic )?(\$\(\w+\))+|\$\{?\w+\}?|\{\{.*\}\}"
    # References that are resolved in the cluster, such as those of Vault's webhook.
    r"|(vault|ref\+\w+|op|awssm|gcpsm|azurekv):.*)",
    re.IGNORECASE,
)
# Special tokens of tokenizers, and numbers of them.
_TOKEN = re.compile(r"<[^<>]*>|\[[A-Z_]+\]|[0-9]{1,7}")
# A proxy's address without a scheme, with a user and a password.
_WITHOUT_SCHEME = re.compile(r"[^\s/:@]+:(?!\$)[^\s/@]+@[\w.-]+(:\d+)?/?")
_HEADER = re.compile(
    r"(?:^|[,;\s])[\w-]*(?:authorization|api[-_]?key|token)=(?!\$\()[^,;\s]", re.IGNORECASE
)
_IN_JSON = re.compile(
    r"\"[\w.-]*(?:password|secret|secret_access_key|secret_key|api_key|access_token|auth_token)\""
    r"\s*:\s*\"(?!\$\()[^\"]",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"^[ \t]*[\"']?[\w.-]*(?:password|passwd|secret[_-]?access[_-]?key|secret[_-]?key|api[_-]?key"
    r"|access[_-]?token|auth[_-]?token)[\"']?[ \t]*[:=][ \t]*(?P<value>\S+),?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NETRC = re.compile(r"\blogin\s+\S+\s+password\s+\S")
_TYPE = re.compile(r"(str|string|int|integer|bool|boolean|any|object)?", re.IGNORECASE)
_OPTION = re.compile(r"--?([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_USER = re.compile(r"(?:^|\s)(?:-u|--user|--proxy-user)[= ]?[^\s:$]+:(?!\$)[^\s]")


def is_name(name: object) -> bool:
    """Whether a variable, flag or key of that name holds a credential."""
    return isinstance(name, str) and bool(_NAME.search(name.replace("-", "_").replace(".", "_")))


def is_clear(name: object, value: str) -> bool:
    """Whether a value is a credential because of its name.

    Args:
        name: Name of the variable, flag or key.
        value: Its value.
    """
    if not is_name(name) or _NONE.fullmatch(value):
        return False
    return not (str(name).lower().endswith("token") and _TOKEN.fullmatch(value))


def in_variable(name: str, value: str) -> bool:
    """Whether the value of a variable is or has a credential, whatever its name is.

    Args:
        name: Name of the variable.
        value: Its value.
    """
    if require.has_secret(value) or _WITHOUT_SCHEME.fullmatch(value) or _IN_JSON.search(value):
        return True
    return name.upper().endswith("HEADERS") and bool(_HEADER.search(value))


def in_file(content: str | bytes) -> bool:
    """Whether a file has a credential, as configurations and netrc files have them.

    Args:
        content: Its content.
    """
    text = content.decode("latin-1") if isinstance(content, bytes) else content
    values = (found["value"].strip("\"',;") for found in _LINE.finditer(text))
    is_set = any(
        not (_NONE.fullmatch(value) or _TYPE.fullmatch(value) or value.startswith(("{", "[", "<")))
        for value in values
    )
    return require.has_secret(content) or is_set or bool(_NETRC.search(text))


def options(words: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """The options of a command line that have a value: where that is, the option and the value.

    Args:
        words: The words.
    """
    for at, word in enumerate(words):
        found = _OPTION.fullmatch(word)
        if found is not None and found[2] is not None:
            yield at, found[1], found[2]
        elif found is not None and at + 1 < len(words) and not words[at + 1].startswith("-"):
            yield at + 1, found[1], words[at + 1]


def check_words(where: str, words: Sequence[str]) -> None:
    """Reject a credential in a command line.

    Args:
        where: Name of the option.
        words: The words.

    Raises:
        VllmConstructsError: There is one; the error does not show it.
    """
    is_named = any(is_clear(name, value) for _, name, value in options(words))
    pairs = (" ".join(words[at : at + 2]) for at in range(len(words)))
    if is_named or any(map(require.has_secret, words)) or any(map(_USER.search, pairs)):
        text = "has a word that looks like a credential (not shown)"
        advice = "give it as a variable from a Secret, and write $(NAME) in its place"
        refuse(Problem(where=where, text=text, advice=advice))


def check_flags(where: str, flags: Mapping[str, object]) -> None:
    """Reject a credential in flags of an engine, also one deep in a JSON value.

    Args:
        where: What the flags belong to.
        flags: The values by their names.

    Raises:
        VllmConstructsError: There is one; the error does not show it.
    """
    for name, value in flags.items():
        for path, text in _clear(f"{where}.{name}", name, value):
            refuse(
                Problem(
                    where=escaped(path),
                    text=f"looks like a credential ({len(text)} characters, not shown), which "
                    "would be written into the manifests",
                    advice="put it into a Secret, as a variable of its own in {env}, and write "
                    "$(NAME) in its place",
                )
            )


def _clear(path: str, name: object, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if is_clear(name, value) or require.has_secret(value):
            yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _clear(f"{path}[{require.shown(key)}]", key, item)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for at, item in enumerate(value):
            yield from _clear(f"{path}[{at}]", name, item)
