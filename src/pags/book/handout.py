"""What students read before a chapter: how to install the package, its first cell, and what each session asks for.

The plan of sessions is that of book/how_to_teach.md, in tables that begin with `HEADING`.
"""

import re
from pathlib import Path

from pags import paths
from pags.book import plain
from pags.errors import PagsError

ARCHIVE = "pags.zip"
SIZE = "on Linux some 3 GB of download and 7 GB of disk, on macOS and Windows about a third of that"
SETUP = f"""\
# The chapter's code is in the package `pags`. This cell does nothing where it is installed, as README.md of the
# student's folder says; elsewhere put {ARCHIVE} beside this notebook and run the cell. No data set is needed.
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

spec = find_spec("pags")
if spec is None or spec.origin is None:  # nothing, or no more than a folder of that name
    places = [folder / "{ARCHIVE}" for folder in (Path.cwd(), *Path.cwd().parents)]
    archive = next((place for place in places if place.exists()), None)
    if archive is None:
        raise RuntimeError("pags is not installed: put {ARCHIVE} beside this notebook, run this cell again")
    if sys.version_info < (3, 11):
        raise RuntimeError(f"Python 3.11 or later is needed; this kernel has {{sys.version.split()[0]}}")
    kept = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()
    if kept and sys.prefix == sys.base_prefix:
        raise RuntimeError("this Python belongs to the system, and pip refuses: make an environment, see README.md")
    print("Installing takes 5 to 30 minutes, by the network:")
    print("{SIZE}.")
    ZipFile(archive).extractall("pags")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", "pags/constraints.txt"]
    if subprocess.run([*install, "--editable", "./pags"]).returncode:
        raise RuntimeError("pip has refused, see above; README.md of the student's folder says what to do")
    sys.path.insert(0, str(Path("pags/src").absolute()))
"""
PAGE = """\
# To take part

A folder of your own with `{archive}` and the notebooks of this folder is all that you need, and Python 3.11 or later.
No GPU, no data set. Installing needs the network, and takes 5 to 30 minutes: {size}. Do it at home, not in the room.
The versions in `constraints.txt` of {archive} are those that the chapters were tested with, on Linux with Python 3.11;
where pip finds none of them for a newer Python, take 3.11. macOS and Windows are not part of the tests; on Windows the
lines for Linux hold in its Subsystem for Linux, too.

## Linux, and macOS on Apple's processors

In a terminal, in your folder:

```bash
python3 --version     # 3.11 or later
python3 -m venv .venv
source .venv/bin/activate
python -m zipfile -e {archive} pags
pip install --constraint pags/constraints.txt --editable './pags[jupyter]'
jupyter lab
```

On Debian and Ubuntu `venv` is a package of its own, `python3-venv`. Without an NVIDIA GPU, PyTorch for CPUs does the
same with a small part of the download: PyTorch's own installation page gives the line of pip (Linux, Pip, CPU). Run it
after `source`, with {torch} in place of its names, then the lines below it.
PyTorch of that age does not run on Macs with Intel's processors: take a hosted notebook.

## Windows

In PowerShell, in your folder:

```powershell
py -3.11 --version
py -3.11 -m venv .venv
Set-ExecutionPolicy -Scope Process RemoteSigned
.venv\\Scripts\\Activate.ps1
python -m zipfile -e {archive} pags
pip install --constraint pags/constraints.txt --editable "./pags[jupyter]"
jupyter lab
```

## A hosted notebook

Upload `{archive}` and the notebook into one folder, and run the first cell: it installs the package with the same
versions. The service needs Python 3.11 or later, a network, and the space named above. If it says that packages which
are loaded have changed, restart the kernel and begin again at the first cell. Such a service ends a session that idles,
and forgets what was trained: download your notebook before you leave it.

## The next day

In your folder: `source .venv/bin/activate` (Windows: `.venv\\Scripts\\Activate.ps1`), then `jupyter lab`. The
notebook's kernel is *Python 3*. A chapter's networks are trained the first time it runs, and kept in `pags/build`.
Before a lab run all cells above *Exercises*, on mains power, and leave the notebook open.

## Where it fails

| it says | do |
| --- | --- |
| `externally-managed-environment` | that Python belongs to the system: make an environment as above |
| `No matching distribution found` | another Python, mostly: `python --version` must say 3.11 or later, and 64 bits |
| `No space left on device` | free the space named above, or take PyTorch for CPUs only |
| `No module named 'pags'` | the kernel is another Python's: start `jupyter lab` from the environment |
| `pags is not installed` | `{archive}` lies neither beside the notebook nor in a folder above it |

{plan}
"""
HEADING = "## The plan as a table"


def page(known: plain.Names) -> str:
    """README.md of the student's folder: how to install on each system, what to do where it fails, and the plan."""
    pins = (paths.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    torch = " ".join(f"`{pin}`" for pin in pins if pin.startswith(("torch==", "torchvision==")))
    return PAGE.format(archive=ARCHIVE, size=SIZE, torch=torch, plan=plain.plain(plan(), known).strip())


def plan(path: Path | None = None) -> str:
    """The section of the teacher's page that begins with `HEADING`, as MyST; PagsError where it has none."""
    text = (path or paths.BOOK / "how_to_teach.md").read_text(encoding="utf-8")
    found = re.search(rf"^{HEADING}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise PagsError(f"how_to_teach.md has no section {HEADING[3:]!r}: students get it as their plan")
    return found[0]
