"""KedaAuthentication: how KEDA authenticates to Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, TypeAlias, get_args

from vllm_constructs import require
from vllm_constructs.dataclass import dataclass
from vllm_constructs.errors import Problem, refuse
from vllm_constructs.frozen import FrozenDict
from vllm_constructs.kube import names
from vllm_constructs.kube.references import HasName, name_of, namespace_of, reject_secret

AuthMode: TypeAlias = Literal["bearer", "basic", "tls", "custom"]
_MODES = get_args(AuthMode)
# KEDA's names of the parameters (KEDA docs, "Prometheus", authentication parameters).
_PARAMETERS = {
    "bearer_token": "bearerToken",
    "username": "username",
    "password": "password",
    "ca": "ca",
    "certificate": "cert",
    "private_key": "key",
}


@dataclass(frozen=True)
class KedaAuthentication:
    """How KEDA authenticates to Prometheus.

    Use `KedaAuthentication.from_secret(...)` to have the scaler make the TriggerAuthentication, or
    give the name of one that exists.

    Args:
        trigger_authentication: Name of a TriggerAuthentication or ClusterTriggerAuthentication
            that exists.
        cluster: Whether `trigger_authentication` is a ClusterTriggerAuthentication. Default: False.
        modes: Modes of authentication, KEDA's `authModes`: `"bearer"` (default), `"basic"`,
            `"tls"` or `"custom"`, or several; none for a TriggerAuthentication with `podIdentity`,
            as managed Prometheus of clouds needs.
        secret: Secret with the credentials, for one that the scaler makes. Default: none.
        keys: Keys of the Secret by KEDA's parameters. Default: none.
        namespace: Namespace of the Secret; scalers in other namespaces are then rejected.
            Default: not known.

    Raises:
        VllmConstructsError: An invalid name, key or mode, or modes that exclude each other.
    """

    trigger_authentication: str | None = None
    cluster: bool = field(default=False, kw_only=True)
    modes: Sequence[AuthMode] = field(default=("bearer",), kw_only=True)
    secret: str | None = field(default=None, kw_only=True)
    keys: Mapping[str, str] | None = field(default=None, kw_only=True)
    namespace: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        owner = "KedaAuthentication"
        if (self.trigger_authentication is None) == (self.secret is None):
            text = "needs either a name or a secret"
            advice = f"give {owner}('name') or {owner}.from_secret('secret', bearer_token='token')"
            refuse(Problem(where=owner, text=text, advice=advice))
        if self.trigger_authentication is not None:
            names.subdomain(f"{owner}.trigger_authentication", self.trigger_authentication)
        else:
            names.subdomain(f"{owner}.secret", self.secret)
        require.boolean(f"{owner}.cluster", self.cluster)
        if isinstance(self.modes, str):
            advice = f"write [{self.modes!r}]"
            require.wrong(f"{owner}.modes", self.modes, "a list of modes", advice)
        modes = require.items(f"{owner}.modes", self.modes, "a list of modes such as 'bearer'")
        for mode in modes:
            require.choice(f"{owner}.modes", mode, _MODES)
        if {"bearer", "basic"} <= set(modes):
            text = "has both 'bearer' and 'basic', which exclude each other"
            refuse(Problem(where=f"{owner}.modes", text=text, advice="leave one out"))
        keys = require.text_map(f"{owner}.keys", {} if self.keys is None else self.keys)
        for parameter, key in keys.items():
            require.choice(f"a key of {owner}.keys", parameter, tuple(_PARAMETERS.values()))
            reject_secret(f"{owner}.keys[{parameter!r}]", key)
            names.secret_key(f"{owner}.keys[{parameter!r}]", key)
        if (self.secret is None) != (not keys):
            text = "is missing" if self.secret is not None else "is given without {secret}"
            refuse(
                Problem(where=f"{owner}.keys", text=text, advice=f"use {owner}.from_secret(...)")
            )
        self._check_secret(modes, keys)
        if self.namespace is not None:
            names.label(f"{owner}.namespace", self.namespace)
        object.__setattr__(self, "modes", modes)
        object.__setattr__(self, "keys", FrozenDict(keys))

    def _check_secret(self, modes: Sequence[object], keys: Mapping[str, str]) -> None:
        """Reject a Secret that does not have what the modes need."""
        if self.secret is None:
            return
        if self.cluster:
            text = "is True, but the scaler makes a TriggerAuthentication of its namespace"
            advice = "leave it out, or give the name of one that exists"
            refuse(Problem(where="KedaAuthentication.cluster", text=text, advice=advice))
        if not modes:
            text, advice = "is empty, but {secret} is given", "leave it out"
            refuse(Problem(where="KedaAuthentication.modes", text=text, advice=advice))
        needed = {"bearer": "bearerToken", "basic": "username", "tls": "cert"}
        for mode in modes:
            if needed.get(str(mode), "") not in ("", *keys):
                text = f"has {mode!r}, but {{keys}} has no {needed[str(mode)]!r}"
                advice = "use KedaAuthentication.from_secret(...)"
                refuse(Problem(where="KedaAuthentication.modes", text=text, advice=advice))

    @classmethod
    def from_secret(
        cls,
        secret: str | HasName,
        *,
        bearer_token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        certificate: str | None = None,
        private_key: str | None = None,
    ) -> KedaAuthentication:
        """Credentials in a Secret, for which the scaler makes a TriggerAuthentication.

        Args:
            secret: The Secret, by its name or as a cdk8s-plus object, in the scaler's namespace.
            bearer_token: Its key with a bearer token. Default: none.
            username: Its key with a user's name, beside `password`. Default: none.
            password: Its key with the password. Default: none.
            ca: Its key with the CA certificate of Prometheus. Default: the system's CAs.
            certificate: Its key with a client certificate, beside `private_key`. Default: none.
            private_key: Its key with the private key of the client certificate. Default: none.

        Raises:
            VllmConstructsError: No credentials, both a token and a user, or half of a pair.
        """
        where = "KedaAuthentication.from_secret"
        given = {
            "bearer_token": bearer_token,
            "username": username,
            "password": password,
            "ca": ca,
            "certificate": certificate,
            "private_key": private_key,
        }
        for first, second in (("username", "password"), ("certificate", "private_key")):
            if (given[first] is None) != (given[second] is None):
                missing = second if given[second] is None else first
                refuse(Problem(where=f"{where} {missing}", text="is missing", advice="give both"))
        modes: list[AuthMode] = []
        if bearer_token is not None:
            modes.append("bearer")
        if username is not None:
            modes.append("basic")
        if certificate is not None:
            modes.append("tls")
        if "basic" in modes and "bearer" in modes:
            text = "has both {bearer_token} and {username}, which exclude each other"
            refuse(Problem(where=where, text=text, advice="leave one out"))
        if not modes:
            text = "has no credentials" if ca is None else "has {ca} alone, no credentials"
            advice = "give {bearer_token}, {username} and {password}, or {certificate}"
            refuse(Problem(where=where, text=text, advice=advice))
        for name, key in given.items():
            if key is not None:
                reject_secret(f"{where} {name}", key)
                names.secret_key(f"{where} {name}", key)
        keys = {_PARAMETERS[name]: key for name, key in given.items() if key is not None}
        return cls(
            secret=name_of(f"{where} secret", secret, "Secret"),
            keys=keys,
            modes=modes,
            namespace=namespace_of(secret),
        )

    def manifest(self, name: str) -> dict[str, Any] | None:
        """The TriggerAuthentication, or None if one that exists is used.

        Args:
            name: Its name.
        """
        if self.secret is None:
            return None
        keys = {} if self.keys is None else self.keys
        targets = [
            {"parameter": parameter, "name": self.secret, "key": key}
            for parameter, key in keys.items()
        ]
        return {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "TriggerAuthentication",
            "metadata": {"name": names.subdomain("KedaScaler.name", name)},
            "spec": {"secretTargetRef": targets},
        }

    def authenticated(self, trigger: dict[str, Any], name: str) -> dict[str, Any]:
        """A trigger that uses the authentication, if it reads Prometheus.

        Args:
            trigger: The entry of the ScaledObject.
            name: Name of the TriggerAuthentication that the scaler makes.
        """
        if trigger["type"] != "prometheus":
            return trigger
        reference = {"name": self.trigger_authentication or name}
        if self.cluster:
            reference["kind"] = "ClusterTriggerAuthentication"
        metadata = dict(trigger["metadata"])
        if self.modes:
            metadata["authModes"] = ",".join(self.modes)
        return {**trigger, "metadata": metadata, "authenticationRef": reference}
