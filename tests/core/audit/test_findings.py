"""What config and tensors say of each other: each finding, with its severity and its names."""

import pytest

from gradience.core.adapter.peft_config import peft_lora_config
from gradience.core.adapter.tensors import LoraPair, TensorInfo, TensorSorting, sort_tensors
from gradience.core.audit.findings import (
    MAX_LISTED,
    base_findings,
    common_path,
    structure_findings,
    training_findings,
)
from gradience.core.audit.module import row_of
from gradience.core.audit.report import Finding, LayerRow, ModuleStatus
from gradience.core.severity import Severity
from tests.adapter_files import Q_PROJ, UP_PROJ, lora_config, tensor_pair


def _tensors(*pairs: LoraPair) -> list[TensorInfo]:
    return [tensor for pair in pairs for tensor in (pair.a, pair.b)]


def _findings(sorting: TensorSorting, **changes: object) -> dict[str, Finding]:
    config = peft_lora_config(lora_config(**changes), "config")
    return {finding.code: finding for finding in structure_findings(config, sorting)}


def _two(**changes: object) -> dict[str, Finding]:
    return _findings(sort_tensors(_tensors(tensor_pair(), tensor_pair(UP_PROJ))), **changes)


def _rows(untrained: list[str], trained: list[str]) -> list[LayerRow]:
    config = peft_lora_config(lora_config(), "config")
    status = {
        **dict.fromkeys(untrained, ModuleStatus.UNTRAINED),
        **dict.fromkeys(trained, ModuleStatus.OK),
    }
    return [row_of(tensor_pair(name), config, kind) for name, kind in status.items()]


def test_a_plain_adapter_gives_no_finding() -> None:
    assert _two(target_modules=["q_proj", "mlp.up_proj"], rank_pattern={"q_proj": 4}) == {}


def test_half_a_pair_is_an_error() -> None:
    found = _findings(sort_tensors(_tensors(tensor_pair())[:1]))["incomplete_pair"]
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


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("embed.lora_embedding_A", "1 x embedding LoRA factor"),
        ("q.lora_E", "1 x AdaLoRA value or mask"),
    ],
)
def test_what_is_not_audited_is_told(name: str, what: str) -> None:
    tensors = [*_tensors(tensor_pair()), TensorInfo(f"base_model.model.{name}", (4, 4), "F32")]
    found = _findings(sort_tensors(tensors))["not_audited"]
    assert what in found.message
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("by_config", [False, True])
def test_dora_is_told_from_config_or_tensors(*, by_config: bool) -> None:
    tensors = _tensors(tensor_pair())
    if not by_config:
        tensors.append(TensorInfo(f"{Q_PROJ}.lora_magnitude_vector", (10,), "F32"))
    found = _findings(sort_tensors(tensors), use_dora=by_config)
    assert found["dora"].severity is Severity.INFO


def test_copies_are_told() -> None:
    copy = tensor_pair("score.modules_to_save")
    sorting = sort_tensors([*_tensors(tensor_pair("score")), *_tensors(copy)])
    assert _findings(sorting)["pair_stored_again"].modules == ("score",)


def test_an_adapter_of_zeros_is_untrained() -> None:
    (found,) = training_findings(_rows(["a.q", "b.q"], []))
    assert (found.code, found.severity) == ("untrained", Severity.WARNING)
    assert found.modules == ("a.q", "b.q")


def test_some_zeros_are_dead_modules_named_by_their_path() -> None:
    dead = ["model.encoder.layers.0.q", "model.encoder.layers.1.q"]
    (found,) = training_findings(_rows(dead, ["model.decoder.layers.0.q"]))
    assert found.code == "dead_modules"
    assert "2 of 3" in found.message
    assert "everything under model.encoder.layers" in found.message


def test_a_trained_adapter_has_no_training_finding() -> None:
    assert list(training_findings(_rows([], ["a.q"]))) == []


def test_nothing_audited_is_no_untrained_adapter() -> None:
    assert list(training_findings([])) == []


@pytest.mark.parametrize(
    ("chosen", "everything", "expected"),
    [
        (["e.0.q", "e.1.q"], ["e.0.q", "e.1.q", "d.0.q"], "everything under e"),
        (["e.0.q"], ["e.0.q", "e.0.qq"], "everything under e.0.q"),
        (["e.0.q", "e.1.q"], ["e.0.q", "e.1.q", "e.2.q"], "e.0.q, e.1.q"),
        (["a", "b"], ["a", "b", "c"], "a, b"),
    ],
)
def test_a_group_is_named_by_a_path_of_its_own(
    chosen: list[str], everything: list[str], expected: str
) -> None:
    assert common_path(chosen, everything) == expected


def test_long_lists_are_cut_in_the_message_alone() -> None:
    names = {f"layers.{i}.q": "no weight" for i in range(MAX_LISTED + 3)}
    (found,) = base_findings(names)
    assert "and 3 more" in found.message
    assert len(found.modules) == MAX_LISTED + 3


def test_missing_base_norms_are_grouped_by_reason() -> None:
    found = list(base_findings({"a": "x", "b": "y", "c": "x"}))
    assert [finding.modules for finding in found] == [("a", "c"), ("b",)]
    assert {finding.code for finding in found} == {"no_base_norm"}
