"""Runs containers with the Python of vLLM: started by `running.py`, one line of JSON for each.

A container gets namespaces of its own for processes and mounts, and is process 1 there. Its root
has the programs of this machine, read-only, and its volumes at their own paths. Beside them only
/tmp can be written to, which every image has for its user, unless its root is read-only. vLLM
takes 20 s to start, nearly all of it to import; with `--fork` this process imports it once, and
each container is a fork of it that calls what the command `vllm` calls.
"""

import ctypes
import json
import os
import select
import shutil
import sys
from collections.abc import Callable
from typing import Any

NEW_MOUNTS, NEW_PROCESSES = 0x20000, 0x20000000
PRIVATE, READ_ONLY, REMOUNT, BIND, RECURSIVE = 1 << 18, 1, 32, 4096, 16384
NO_SUID_DEV = 2 | 4
PROGRAMS = ("bin", "lib", "lib64", "sbin", "usr", "sys")
DEVICES = ("full", "null", "random", "urandom", "zero")
SETTINGS = ("group", "hosts", "ld.so.cache", "nsswitch.conf", "passwd", "ssl")
"""What of /etc a program needs."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind and kind.encode(), flags, data.encode() or None
    )
    _check(result, f"mount {source} on {target}")


def _bind(source: str, target: str, *, writable: bool = False) -> None:
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "a", encoding="utf-8"):
            pass
    _mount(source, target, None, BIND | RECURSIVE)
    if not writable:
        _seal(target)


def _seal(target: str) -> None:
    # A namespace of a user may add flags to a mount, and must repeat those that it has.
    locked = os.statvfs(target).f_flag & (NO_SUID_DEV | 8 | 1024 | 4096)
    kept = locked & NO_SUID_DEV | locked & 8
    kept |= (1 << 10 if locked & 1024 else 0) | (1 << 21 if locked & 4096 else 0)
    _mount("none", target, None, REMOUNT | BIND | READ_ONLY | kept)


def enter(container: dict[str, Any]) -> None:
    """Make the root of a container, and go there."""
    root = container["root"]
    _mount("none", "/", None, PRIVATE | RECURSIVE)
    os.makedirs(root)
    _mount("tmpfs", root, "tmpfs", 0, "mode=755")
    _make_system(root)
    os.makedirs(f"{root}/tmp")
    if not container["readOnlyRoot"]:
        _mount("tmpfs", f"{root}/tmp", "tmpfs", 0, "mode=1777")
    for mount in sorted(container["mounts"], key=lambda mount: str(mount["path"])):
        target = root + mount["path"]
        if mount["source"] is None:
            os.makedirs(target, exist_ok=True)
            size = f",size={mount['size']}" if mount["size"] else ""
            _mount("tmpfs", target, "tmpfs", 0, f"mode=1777{size}")
        else:
            _bind(mount["source"], target, writable=not mount["readOnly"])
    # Last, since they may be below a path that is a volume, such as /tmp.
    for path in container["programs"]:
        if not path.startswith("/usr/"):
            _bind(path, root + path)
    _mount("none", root, None, REMOUNT | BIND | READ_ONLY)
    os.chroot(root)
    os.chdir("/")


def _make_system(root: str) -> None:
    for name in PROGRAMS:
        if os.path.exists(f"/{name}"):
            _bind(f"/{name}", f"{root}/{name}", writable=name == "sys")
    os.makedirs(f"{root}/proc")
    _mount("proc", f"{root}/proc", "proc", 0)
    for name in DEVICES:
        _bind(f"/dev/{name}", f"{root}/dev/{name}", writable=True)
    for name in SETTINGS:
        if os.path.exists(f"/etc/{name}"):
            _bind(f"/etc/{name}", f"{root}/etc/{name}")


def _into_log(container: dict[str, Any]) -> None:
    log = os.open(container["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)


def _execute(container: dict[str, Any]) -> None:
    environment = container["environment"]
    program = shutil.which(container["command"][0], path=environment.get("PATH"))
    if program is None:
        raise FileNotFoundError(container["command"][0])
    os.execve(program, container["command"], environment)  # noqa: S606  # that is what it is for


def _call(container: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(container["environment"])
    sys.argv = container["command"]
    from vllm.entrypoints.cli.main import main

    main()


def _import_vllm() -> None:
    # All that a server imports while it starts; a missing one would only make it slower.
    import vllm.entrypoints.cli.main
    import vllm.entrypoints.cli.serve
    import vllm.entrypoints.openai.api_server
    import vllm.model_executor.models.qwen2
    import vllm.v1.engine.async_llm
    import vllm.v1.engine.core
    import vllm.v1.executor.multiproc_executor
    import vllm.v1.worker.cpu_model_runner
    import vllm.v1.worker.cpu_worker  # noqa: F401  # as above


def _start(container: dict[str, Any], run: Callable[[dict[str, Any]], None]) -> tuple[int, int]:
    """Start a container; its parent waits for it, and ends with its exit code."""
    heard, told = os.pipe()
    parent = os.fork()
    if parent:
        os.close(told)
        with os.fdopen(heard) as text:
            return parent, int(text.read())
    os.setsid()
    _check(_libc.unshare(NEW_MOUNTS | NEW_PROCESSES), "unshare")
    child = os.fork()
    if child:
        os.write(told, str(child).encode())
        os.close(told)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        # As a container runtime tells it.
        os._exit(code if code >= 0 else 128 - code)
    os.close(told)
    os._exit(_run(container, run))


def _run(container: dict[str, Any], run: Callable[[dict[str, Any]], None]) -> int:
    try:
        _into_log(container)
        enter(container)
        run(container)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    """Start what standard input asks for, and say on standard output what started and ended."""
    run = _execute
    if "--fork" in sys.argv:
        _import_vllm()
        run = _call
    print(json.dumps({"ready": True}), flush=True)
    children: dict[int, int] = {}
    while True:
        if select.select([sys.stdin], [], [], 0.05)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            parent, child = _start(json.loads(line), run)
            children[parent] = child
            print(json.dumps({"started": child}), flush=True)
        for parent in list(children):
            ended, status = os.waitpid(parent, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                print(json.dumps({"ended": children.pop(parent), "code": code}), flush=True)


if __name__ == "__main__":
    main()
