"""A virtual environment that holds the core dependencies and nothing else, built offline."""

import os
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement

SOURCE = Path(__file__).resolve().parents[1] / "src"


def core_closure(root: str = "gradience") -> dict[str, Distribution]:
    """The distributions that an installation without extras brings, by name, without the root."""
    found: dict[str, Distribution] = {}
    waiting = [root]
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            requirement = Requirement(text)
            name = requirement.name.lower()
            if name in found or not (requirement.marker is None or _applies(requirement.marker)):
                continue
            found[name] = distribution(name)
            waiting.append(name)
    return found


def build(folder: Path) -> Path:
    """Builds the environment; the present one's files are linked into it.

    Args:
        folder: Where.

    Returns:
        Its interpreter.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    for found in core_closure().values():
        for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
            link = packages / top
            if top != "__pycache__" and not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
    (packages / "gradience.pth").write_text(f"{SOURCE}\n")
    return folder / "bin" / "python"


def run(python: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``gradience ARGUMENTS`` with that interpreter, untouched by the present environment."""
    variables = {"PATH": os.environ["PATH"], "NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(
        [str(python), "-m", "gradience", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
    )


def _applies(marker: Marker) -> bool:
    return marker.evaluate({"extra": ""})
