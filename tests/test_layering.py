"""core never acts: a reading of every syntax tree below core/."""

import ast
from pathlib import Path

import pytest

import gradience

CORE = Path(gradience.__file__).parent / "core"

ACTING_CALLS = {"open", "print", "input", "exec", "eval", "compile", "breakpoint", "__import__"}

ACTING_MODULES = {
    "asyncio", "cyclopts", "datetime", "fsspec", "glob", "io", "logging", "multiprocessing", "os",
    "pathlib", "peft", "random", "rich", "safetensors", "secrets", "shutil", "socket",
    "subprocess", "sys", "tempfile", "threading", "time", "torch", "transformers", "urllib",
    "uuid", "warnings", "yaml",
}  # fmt: skip

ACTING_NUMPY = {"random", "load", "save", "savez", "loadtxt", "savetxt", "fromfile", "memmap"}

MODULES = sorted(CORE.rglob("*.py"))


def acting(tree: ast.AST) -> list[str]:
    """What in a module would open, print, log, read the clock or draw random numbers."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in ACTING_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module] if node.module.split(".")[0] in ACTING_MODULES else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in ACTING_CALLS else []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            is_numpy = node.value.id in {"np", "numpy"}
            found += [f"np.{node.attr}"] if is_numpy and node.attr in ACTING_NUMPY else []
        elif isinstance(node, ast.Global):
            found += [f"global {name}" for name in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CORE)))
def test_core_module_does_not_act(path: Path) -> None:
    assert acting(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "import time",
        "from os import environ",
        "import numpy as np\nnp.random.rand()",
        "open('x')",
        "import torch.nn",
    ],
)
def test_the_reading_sees_what_acts(source: str) -> None:
    assert acting(ast.parse(source))
