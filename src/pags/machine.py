"""Where and with what something was computed."""

import os
import platform
import re
import signal
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pags
from pags import paths


def cores() -> int:
    """The cores that this process may use; `PAGS_CORES` lowers them, as when chapters run side by side."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("PAGS_CORES", "")
    return min(there, max(1, int(allowed))) if allowed.isdigit() else there


def use_one_thread() -> None:
    """Let torch compute on one thread: the numbers then depend on no count of cores, and grids use all cores anyway."""
    import torch  # seconds that only this needs

    torch.set_num_threads(1)


def versions() -> dict[str, str]:
    """The versions that results depend on."""
    installed = {name: version(name) for name in ("torch", "torchvision")}
    return {"python": platform.python_version(), "pags": pags.__version__} | installed


def commit() -> str | None:
    """The checked-out commit, with "-dirty" if files differ from it; outside of a checkout `PAGS_COMMIT`, or None."""
    command = ["git", "-C", str(paths.ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("PAGS_COMMIT") or None


def ending(code: int | None) -> str:
    """How a process with this exit code ended, in words: a signal by its name, and after SIGKILL a question."""
    if code is None or code >= 0:
        return "ended" if code is None else f"ended with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}" + (": is there enough memory?" if name == "SIGKILL" else "")


def description(gpu: bool = False) -> dict[str, Any]:
    """Cores, processor and system; with `gpu` also the name of the GPU."""
    machine = {"cores": os.cpu_count(), "cpu": _processor(), "system": platform.system()}
    if gpu:
        import torch  # seconds that only this needs

        machine["gpu"] = torch.cuda.get_device_name()
    return machine


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
