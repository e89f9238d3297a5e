"""The API server without kubectl between: reads, dry runs and polls take milliseconds.

A process of kubectl costs 80 to 180 ms of a core. What a user would do with it, such as to apply a
chart, tests do with it too; what a test does to look or to tidy up goes this way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import urllib3
import yaml

Manifest = dict[str, Any]
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_BAD_REQUEST, _GONE = 400, 404
# Not 500: an apply with a value of the wrong type is answered with it.
_BUSY = (429, 502, 503, 504)


class RefusedError(Exception):
    """What was refused, in the API server's or kubectl's own words."""


class MissingError(RefusedError):
    """What is not there."""


class FailedError(Exception):
    """What the API server could not judge: it, or an API server behind it, is busy or away."""


@dataclass(frozen=True)
class Resource:
    """A resource of the API.

    Attributes:
        root: Path of its group and version.
        plural: Its name in paths.
        is_namespaced: Whether its objects are in namespaces.
    """

    root: str
    plural: str
    is_namespaced: bool

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """Of all objects, of those in a namespace, or of one."""
        where = f"/namespaces/{namespace}" if self.is_namespaced and namespace else ""
        return f"{self.root}{where}/{self.plural}" + (f"/{name}" if name else "")


class Answer(NamedTuple):
    """What the server answers.

    Attributes:
        shown: The object, or the list.
        warnings: What the server warns of, each with its code and agent.
    """

    shown: Manifest
    warnings: list[str]


class Api:
    """A client of one control plane.

    Args:
        kubeconfig: With one server, its authority and a token.
    """

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server: str = cluster["server"]
        self._pool = urllib3.PoolManager(
            ca_certs=cluster["certificate-authority"],
            headers={"Authorization": f"Bearer {user['token']}"},
        )
        self._known: dict[str, Resource] = {}

    def close(self) -> None:
        """End its connections."""
        self._pool.clear()

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """What the server answers.

        Raises:
            MissingError: There is no such object.
            RefusedError: The server refuses for another reason.
            FailedError: The server cannot tell.
        """
        answer = self._pool.request(
            method,
            self._server + path + (f"?{urlencode(query)}" if query else ""),
            body=None if body is None else json.dumps(body),
            headers={**self._pool.headers, "Content-Type": content, "Accept": accept},
        )
        if answer.status < _BAD_REQUEST:
            return Answer(json.loads(answer.data), answer.headers.getlist("Warning"))
        text = answer.data.decode()
        with suppress(ValueError, KeyError):
            text = json.loads(text)["message"]
        if answer.status in _BUSY:
            raise FailedError(text)
        raise (MissingError if answer.status == _GONE else RefusedError)(text)

    def resource(self, name: str) -> Resource:
        """A resource by its kind, plural, singular or short name, or by `apps/v1 Deployment`.

        Raises:
            MissingError: None has it.
        """
        if name not in self._known:
            self._known = self._discovered()
        if name not in self._known:
            raise MissingError(f"the API server has no resource {name!r}")
        return self._known[name]

    def kinds(self) -> set[str]:
        """All kinds that are served."""
        return {name.split()[1] for name in self._discovered() if " " in name}

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """One object."""
        return self.request("GET", self.resource(kind).path(namespace, name)).shown

    def items(self, kind: str, namespace: str | None = None) -> list[Manifest]:
        """All objects of a kind."""
        listed = self.request("GET", self.resource(kind).path(namespace)).shown
        # The items of a list have neither.
        named = {
            "apiVersion": listed["apiVersion"],
            "kind": listed["kind"].removesuffix("List"),
        }
        return [{**named, **one} for one in listed["items"]]

    def create(self, manifest: Manifest) -> None:
        """Create an object, with its status where the API takes it."""
        self.request("POST", self._path(manifest, ""), body=manifest)

    def apply(
        self, manifest: Mapping[str, Any], *, dry_run: bool = False, force: bool = False
    ) -> Answer:
        """Apply an object server-side as kubectl does, with strict field validation.

        Args:
            manifest: The object.
            dry_run: Whether nothing is kept of it.
            force: Whether fields of other managers are taken over.

        Returns:
            What the server has then, or would have.
        """
        query = {
            "fieldManager": "kubectl",
            "fieldValidation": "Strict",
            "force": str(force).lower(),
        }
        if dry_run:
            query["dryRun"] = "All"
        path = self._path(manifest, manifest["metadata"]["name"])
        return self.request("PATCH", path, query, manifest, "application/apply-patch+yaml")

    def patch(self, kind: str, name: str, namespace: str, change: Mapping[str, Any]) -> None:
        """A merge patch."""
        path = self.resource(kind).path(namespace, name)
        self.request("PATCH", path, body=change, content="application/merge-patch+json")

    def delete(self, manifest: Mapping[str, Any]) -> str:
        """Begin to delete an object.

        Returns:
            Its path; empty where it is not there.
        """
        path = self._path(manifest, manifest["metadata"]["name"])
        try:
            self.request("DELETE", path, {"propagationPolicy": "Background"})
        except MissingError:
            return ""
        return path

    def is_there(self, path: str) -> bool:
        """Whether there is an object."""
        try:
            self.request("GET", path)
        except MissingError:
            return False
        return True

    def _path(self, manifest: Mapping[str, Any], name: str) -> str:
        resource = self.resource(f"{manifest['apiVersion']} {manifest['kind']}")
        return resource.path(manifest["metadata"].get("namespace", "default"), name)

    def _discovered(self) -> dict[str, Resource]:
        """All resources, the preferred one where several have a name."""
        found: dict[str, Resource] = {}
        for root in ("/api", "/apis"):
            for group in self.request("GET", root, accept=_DISCOVERY).shown["items"]:
                name = group.get("metadata", {}).get("name", "")
                for version in group["versions"]:
                    api = f"{name}/{version['version']}".lstrip("/")
                    for one in version.get("resources", []):
                        resource = Resource(
                            f"{root}/{api}", one["resource"], one["scope"] == "Namespaced"
                        )
                        names = (one["resource"], one.get("singularResource", ""))
                        kind = one["responseKind"]["kind"]
                        for title in (f"{api} {kind}", kind, *names, *one.get("shortNames", [])):
                            found.setdefault(title, resource)
        return found
