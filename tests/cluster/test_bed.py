"""The test bed itself: it leaves nothing behind, and says why it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from . import binaries
from .bed import Bed
from .conftest import NEWEST


@pytest.fixture(autouse=True)
def programs() -> None:
    """The two programs without which there is no bed."""
    try:
        binaries.find("etcd", "etcd")
        binaries.find(f"kubernetes-{NEWEST}", "kube-apiserver")
    except binaries.MissingError as missing:
        pytest.skip(str(missing))


def test_end() -> None:
    """A bed ends all its programs, frees its ports and removes its folder."""
    with Bed(NEWEST) as bed:
        assert bed.folder.is_dir()
        processes = [program.process for program in bed.programs]
        assert [None] * len(processes) == [process.poll() for process in processes]
        port = bed.port

    assert not bed.folder.exists()
    assert None not in [process.poll() for process in processes]
    with socket.socket() as free:
        assert 0 != free.connect_ex(("127.0.0.1", port))


def test_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without built programs, Go and assets, the reason is a plain sentence."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(binaries.MissingError, match="no etcd: neither Go nor KUBEBUILDER_ASSETS"):
        binaries.find("etcd", "etcd", {})


def test_assets(tmp_path: Path) -> None:
    """KUBEBUILDER_ASSETS goes first, for the newest release only."""
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch()
    assets = {"KUBEBUILDER_ASSETS": str(tmp_path)}

    assert tmp_path / "etcd" == binaries.find("etcd", "etcd", assets)
    api = f"kubernetes-{NEWEST}"
    assert tmp_path / "kube-apiserver" == binaries.find(api, "kube-apiserver", assets)
    older = f"kubernetes-{binaries.versions()[-1]}"
    assert tmp_path != binaries.find(older, "kube-apiserver", assets).parent


def test_assets_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the two programs of KUBEBUILDER_ASSETS alone, objects are admitted and nothing runs."""
    assets = tmp_path / "assets"
    assets.mkdir()
    for tool, name in (("etcd", "etcd"), (f"kubernetes-{NEWEST}", "kube-apiserver")):
        (assets / name).symlink_to(binaries.find(tool, name))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with Bed(NEWEST) as bed:
        assert not bed.has_controllers
        assert ["default"] == [
            item["metadata"]["name"] for item in bed.kubectl.items("serviceaccounts", "default")
        ]
