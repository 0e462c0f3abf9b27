"""What config and tensors say of each other: each finding, with its severity and its names."""

import re
from collections.abc import Iterable

import pytest

from gradience.core.adapter.tensors import AdapterContents, TensorInfo, TensorKind
from gradience.core.audit.findings import (
    MAX_LISTED,
    initial_finding,
    listed,
    structure_findings,
    twin_finding,
)
from gradience.core.audit.report import Finding
from gradience.core.severity import Severity
from tests.adapter_files import (
    PREFIX,
    Q_PROJ,
    UP_PROJ,
    peft_contents,
    tensor_pair,
    tensors_of,
)


def _findings(tensors: Iterable[TensorInfo], **changes: object) -> dict[str, Finding]:
    found = list(structure_findings(peft_contents(tensors, **changes)))
    assert len({finding.code for finding in found}) == len(found)
    return {finding.code: finding for finding in found}


def _two(**changes: object) -> dict[str, Finding]:
    return _findings(tensors_of(tensor_pair(), tensor_pair(UP_PROJ)), **changes)


def _beside(*names: str, shape: tuple[int, ...] = (4, 4)) -> dict[str, Finding]:
    tensors = [TensorInfo(PREFIX + name, shape, "F32") for name in names]
    return _findings([*tensors_of(tensor_pair()), *tensors])


def test_a_plain_adapter_gives_no_finding() -> None:
    assert _two(target_modules=["q_proj", "mlp.up_proj"], rank_pattern={"q_proj": 4}) == {}


def test_half_a_pair_is_an_error() -> None:
    found = _findings(tensors_of(tensor_pair())[:1])["incomplete_pair"]
    assert found.severity is Severity.ERROR
    assert found.modules == (f"base_model.model.{Q_PROJ}.lora_A.weight",)


def test_another_rank_than_configured_is_an_error_with_both_ranks() -> None:
    found = _two(rank_pattern={"up_proj": 2})["rank_mismatch"]
    assert (found.severity, found.modules) == (Severity.ERROR, (UP_PROJ,))
    assert "4 in the weights, 2 in the config" in found.message


@pytest.mark.parametrize("field", ["rank_pattern", "alpha_pattern"])
def test_a_pattern_without_a_module_is_told(field: str) -> None:
    found = _two(**{field: {"nothing": 4, "q_proj": 4}})["pattern_unmatched"]
    assert found.modules == ("nothing",)
    assert field in found.message


def test_a_target_without_a_module_is_told() -> None:
    assert _two(target_modules=["q_proj", "up_proj", "proj", "v"])["target_unmatched"].modules == (
        "proj",
        "v",
    )


@pytest.mark.parametrize("targets", ["all-linear", ".*_proj", None, []])
def test_expressions_and_no_targets_are_not_judged(targets: object) -> None:
    assert _two(target_modules=targets) == {}


@pytest.mark.parametrize("name", ["q.lora_diag", "q.lora_A", "q.lora_A.weight"])
def test_what_is_not_audited_is_told_with_its_shape(name: str) -> None:
    found = _beside(name, shape=(4,))["not_audited"]
    assert f"1 LoRA tensor of a form that is not audited: {PREFIX}{name} (4,)" in found.message
    assert "shard that was saved without gathering" in found.remedy
    assert (found.severity, found.modules) == (Severity.WARNING, (PREFIX + name,))


def test_a_target_whose_tensors_are_not_audited_is_not_called_missing() -> None:
    tensors = [*tensors_of(tensor_pair()), TensorInfo(f"{PREFIX}l.k.lora_A.weight", (4,), "F32")]
    assert set(_findings(tensors, target_modules=["q_proj", "k"])) == {"not_audited"}


@pytest.mark.parametrize("by_config", [False, True])
def test_dora_is_told_by_its_magnitudes(*, by_config: bool) -> None:
    magnitude = TensorInfo(f"{Q_PROJ}.lora_magnitude_vector", (10,), "F32")
    found = _findings([*tensors_of(tensor_pair()), magnitude], use_dora=by_config)
    assert set(found) == {"dora"}
    assert found["dora"].severity is Severity.INFO
    assert "rescaled to a learned length (1 magnitude vector)" in found["dora"].message
    assert "not in these numbers" in found["dora"].message


def test_dora_without_magnitudes_is_a_warning() -> None:
    found = _findings(tensors_of(tensor_pair()), use_dora=True)
    assert set(found) == {"dora_without_magnitudes"}
    assert found["dora_without_magnitudes"].severity is Severity.WARNING
    assert "holds no magnitude vector" in found["dora_without_magnitudes"].message


def test_copies_are_told() -> None:
    copy = tensor_pair("score.modules_to_save")
    found = _findings(tensors_of(tensor_pair("score"), copy))["pair_stored_again"]
    assert (found.severity, found.modules) == (Severity.INFO, ("score",))
    assert "LoRA pairs stored again" in found.message
    assert "(1 in all), for score" in found.message
    assert "either a LoRA target or in modules_to_save" in found.remedy


@pytest.mark.parametrize(
    "names",
    [
        ("score.weight", "score.original_module.weight"),
        ("score.modules_to_save.default.weight", "score.original_module.weight"),
        ("score.modules_to_save.weight", "score.base_layer.weight"),
    ],
)
def test_a_weight_under_two_names_is_told(names: tuple[str, ...]) -> None:
    found = _beside(*names)["weight_stored_again"]
    assert (found.severity, found.modules) == (Severity.INFO, ("score.weight",))
    assert found.message == "stored under several names: score.weight"


def test_a_head_that_is_stored_once_is_no_finding() -> None:
    assert _beside("score.modules_to_save.weight", "score.modules_to_save.bias") == {}


def test_further_adapters_are_told() -> None:
    tensors = [
        TensorInfo(f"{PREFIX}q.lora_{side}.{adapter}.weight", (4, 4), "F32")
        for adapter in ("one", "two")
        for side in "AB"
    ]
    found = _findings(tensors)["several_adapters"]
    assert (found.severity, found.remedy) == (Severity.WARNING, "Save each adapter on its own.")
    assert found.modules == (f"{PREFIX}q.lora_A.two.weight",)


def test_notes_of_the_layout_are_findings() -> None:
    (found,) = structure_findings(AdapterContents(layout="kohya", notes=("no alphas",)))
    assert (found.code, found.severity, found.message) == (
        "layout_note",
        Severity.INFO,
        "no alphas",
    )


def test_a_layout_without_config_has_no_targets_to_miss() -> None:
    mid = TensorInfo("x.lora_mid.weight", (4, 4, 3, 3), "F32")
    contents = AdapterContents(layout="kohya", others=((mid, TensorKind.UNREAD_FACTOR),))
    (found,) = structure_findings(contents)
    assert found.code == "not_audited"
    assert "x.lora_mid.weight (4, 4, 3, 3)" in found.message


@pytest.mark.parametrize(
    ("missing", "code", "severity", "words"),
    [
        (None, "twin_not_compared", Severity.INFO, "b.bin lies beside .* not compared .*: why"),
        ((), "twin_differs", Severity.WARNING, "b.bin holds other weights .* file: why"),
        (("t",), "twin_differs", Severity.WARNING, r"1 tensor not in it \(t\); why"),
    ],
)
def test_a_twin_is_told(
    missing: tuple[str, ...] | None, code: str, severity: Severity, words: str
) -> None:
    found = twin_finding("b.bin", missing, "why")
    assert (found.code, found.severity) == (code, severity)
    assert re.search(words, found.message)
    assert found.modules == (missing or ())


def test_a_twin_that_only_lacks_tensors_has_no_empty_end() -> None:
    found = twin_finding("b.bin", ["s", "t"], "")
    assert found.message.endswith("audited file: 2 tensors not in it (s, t)")


def test_what_was_taken_away_without_a_method_is_told() -> None:
    assert initial_finding(None, "first", 1).message.startswith(
        "those of first were taken away from 1 module. The update is"
    )


def test_what_was_taken_away_is_told() -> None:
    found = initial_finding("pissa", "first", 3)
    assert (found.code, found.severity) == ("initial_subtracted", Severity.INFO)
    assert "pissa moved base weight into the factors; those of first" in found.message
    assert "from 3 modules" in found.message


def test_long_lists_are_cut() -> None:
    names = [f"t{i}" for i in range(MAX_LISTED + 3)]
    assert listed(names).endswith("t7 and 3 more")
    assert listed(names[:2]) == "t0, t1"
