"""What the check says of every real configuration: recipes of the tools, and saved adapters.

``python -m tests.test_golden_findings`` writes the table anew; read its difference line by line.
"""

import json
from pathlib import Path

import pytest

from gradience.api import check
from gradience.core.checking.check import ALL_RULES
from gradience.core.errors import GradienceError
from gradience.core.severity import Severity
from tests.shared_data import DATA, SHARED, needs_shared_data

pytestmark = [pytest.mark.shared_data, needs_shared_data]

TABLE = DATA / "golden_findings.json"
"""File → code → severity, or that the file is refused."""

PATTERNS = (
    "configs/*/*.y*ml",
    "configs/*/*.json",
    "adapter_configs/**/adapter_config.json",
    "adapters/**/adapter_config.json",
    "gradience/bench_yaml/*.y*ml",
    "gradience/bench_yaml/*.json",
)

RECIPES = ("axolotl", "llamafactory", "torchtune", "trl_alignment_handbook", "trl_example")
"""Folders of configurations that the tools themselves publish as examples to follow."""

EXPECTED_WARNINGS = frozenset({"GR201", "GR203"})
"""Of adapters that people trained: attention alone, or a head alone, on a task that is not easy."""

REFUSED = "refused"
"""Of a file that is no configuration of a run."""

Findings = dict[str, str] | str


def real_configs() -> list[Path]:
    """Every real configuration, in order."""
    return sorted({path for pattern in PATTERNS for path in SHARED.glob(pattern)})


def findings(path: Path) -> Findings:
    """What the check says of a file."""
    try:
        report = check(path)
    except GradienceError:
        return REFUSED
    return {
        str(item.evidence["rule"]): item.severity.value
        for item in report.recommendations
        if item.action != "config_ok"
    }


def name_of(path: Path) -> str:
    return str(path.relative_to(SHARED))


def table() -> dict[str, Findings]:
    content: dict[str, Findings] = json.loads(TABLE.read_text(encoding="utf-8"))
    return content


@pytest.fixture(autouse=True)
def _no_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No model is found on this machine, whatever its cache holds."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))


@pytest.mark.parametrize("path", real_configs(), ids=name_of)
def test_a_real_configuration_is_judged_as_the_table_says(path: Path) -> None:
    assert findings(path) == table()[name_of(path)]


def test_the_table_holds_the_real_configurations_and_no_others() -> None:
    assert set(table()) == {name_of(path) for path in real_configs()}


@pytest.mark.parametrize("folder", RECIPES)
def test_a_tools_own_recipes_are_warned_of_nothing(folder: str) -> None:
    recipes = {name: found for name, found in table().items() if f"configs/{folder}/" in name}
    assert recipes
    for found in recipes.values():
        assert isinstance(found, dict)
        assert set(found.values()) <= {Severity.INFO.value}


def test_an_adapter_is_warned_only_of_what_an_expert_would_name() -> None:
    known = {rule.code for rule in ALL_RULES}
    for found in table().values():
        if isinstance(found, dict):
            assert set(found) <= known
            warned = {code for code, level in found.items() if level != Severity.INFO.value}
            assert warned <= EXPECTED_WARNINGS


def _write() -> None:
    judged = {name_of(path): findings(path) for path in real_configs()}
    TABLE.write_text(json.dumps(judged, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
