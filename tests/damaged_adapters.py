"""Safetensors files written byte by byte, and runs of the command line in bounded memory."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gradience.api import audit
from gradience.core.audit.report import AuditReport
from gradience.core.errors import GradienceError
from tests.adapter_files import PREFIX, lora_config
from tests.cli.run_cli import CliResult

MIB = 2**20
ADDRESS_SPACE = 4 * 2**30
HEADER_LENGTH_BYTES = 8
A_KEY = f"{PREFIX}m.lora_A.weight"
B_KEY = f"{PREFIX}m.lora_B.weight"

_CHILD = """
import re, sys
from pathlib import Path
from gradience.cli.app import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print("\\npeak", re.search(r"VmHWM:\\s*([0-9]+)", status)[1], file=sys.stderr)
"""


class ChildResult(NamedTuple):
    """How a command ended in a process of its own."""

    code: int
    out: str
    err: str
    peak_mib: float
    """Largest resident memory."""

    @property
    def codes(self) -> list[str]:
        """The codes of the findings of a report in JSON."""
        return [finding["code"] for finding in json.loads(self.out)["findings"]]


def entry(shape: object, offsets: object, dtype: object = "F32", **more: object) -> object:
    """A tensor in a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def safetensors_bytes(
    header: object, data: bytes = b"", *, raw: bytes | None = None, length: int | None = None
) -> bytes:
    """A file with this header, or with the bytes of ``raw`` for one."""
    text = json.dumps(header).encode() if raw is None else raw
    claimed = len(text) if length is None else length
    return claimed.to_bytes(HEADER_LENGTH_BYTES, "little") + text + data


def pair_header(a: object, b: object, **more: object) -> Mapping[str, object]:
    """The header of one PEFT pair."""
    return {A_KEY: a, B_KEY: b, **more}


def write_raw(folder: Path, data: bytes, **changes: object) -> Path:
    """An adapter whose weight file holds these bytes."""
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(lora_config(r=1, **changes)))
    (folder / "adapter_model.safetensors").write_bytes(data)
    return folder


def audit_in_child(folder: Path, *args: object, timeout: float = 60) -> ChildResult:
    """``gradience audit FOLDER --json`` in a process that may not map more than 4 GiB."""
    command = [sys.executable, "-c", _CHILD, "audit", str(folder), "--json", *map(str, args)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        preexec_fn=_bound_memory,
    )
    err, _, peak = done.stderr.rpartition("\npeak ")
    assert re.fullmatch(r"\d+\n", peak), done.stderr
    return ChildResult(done.returncode, done.stdout, err, int(peak) / 1024)


def assert_refused(result: CliResult) -> None:
    """Exit code 2, one message on stderr and nothing else."""
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("gradience: ")
    assert result.err.count("\n") == 1


def audited(folder: Path) -> AuditReport | None:
    """The report, or None after an error with words; anything else fails the test."""
    try:
        return audit(folder, rank_policies=["energy@0.9"])
    except GradienceError as error:
        assert str(folder) in str(error) or "pattern key" in str(error)
        return None


def _bound_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
