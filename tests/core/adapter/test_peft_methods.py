"""PEFT's methods: those with a low-rank update pass, the others are declined by name."""

import dataclasses
import json

import pytest
from peft import LoraConfig, PeftType

from gradience.core.adapter.peft_methods import (
    ADALORA,
    LORA,
    NO_LOW_RANK_UPDATE,
    OTHER_UPDATES,
    refuse_moved_weights,
    require_low_rank,
    require_plain_product,
)
from gradience.core.errors import UnsupportedAdapterError
from tests.shared_data import SHARED, needs_shared_data

PLACE = "folder/adapter_config.json"


def test_every_method_of_the_installed_peft_is_known() -> None:
    installed = {kind.value for kind in PeftType}
    assert installed <= {LORA, ADALORA, *NO_LOW_RANK_UPDATE}


def test_no_method_is_both_audited_and_declined() -> None:
    assert not {LORA, ADALORA} & NO_LOW_RANK_UPDATE.keys()


@pytest.mark.parametrize("kind", [LORA, ADALORA])
def test_low_rank_updates_pass(kind: str) -> None:
    require_low_rank(kind, PLACE)


@pytest.mark.parametrize("kind", sorted(NO_LOW_RANK_UPDATE))
def test_other_methods_are_declined_with_what_they_learn(kind: str) -> None:
    with pytest.raises(UnsupportedAdapterError) as caught:
        require_low_rank(kind, PLACE)
    assert str(caught.value) == (
        f"{PLACE}: expected a LoRA adapter, found peft_type {kind}, which learns "
        f"{NO_LOW_RANK_UPDATE[kind]}: it has no low-rank spectrum to audit."
    )


def test_a_method_unknown_to_this_version_is_declined_by_name() -> None:
    with pytest.raises(UnsupportedAdapterError, match=r"NEW_METHOD .*does not know"):
        require_low_rank("NEW_METHOD", PLACE)


@pytest.mark.parametrize("name", OTHER_UPDATES)
def test_variants_with_another_update_are_declined(name: str) -> None:
    words = rf"update is s·B·A, found {name}, which {OTHER_UPDATES[name]}: the singular values"
    with pytest.raises(UnsupportedAdapterError, match=words):
        require_plain_product({"r": 4, name: {"beta": 1e-4}}, PLACE)
    require_plain_product({"r": 4, name: None}, PLACE)
    require_plain_product({"r": 4, name: False}, PLACE)


def test_variants_are_settings_of_the_installed_peft() -> None:
    assert {*OTHER_UPDATES} <= {field.name for field in dataclasses.fields(LoraConfig)}


def test_moved_weights_are_refused_with_both_remedies() -> None:
    message = str(refuse_moved_weights("pissa", PLACE))
    assert message.startswith(f"{PLACE}: init_lora_weights='pissa' moves part of the base weight")
    assert "--initial-adapter" in message
    assert "path_initial_model_for_weight_conversion" in message


@needs_shared_data
@pytest.mark.parametrize("name", ["ia3", "loha", "prefixtuning"])
def test_real_configs_of_other_methods_are_declined(name: str) -> None:
    path = SHARED / "adapter_configs/peft_method_comparison" / name / "adapter_config.json"
    kind = json.loads(path.read_text())["peft_type"]
    with pytest.raises(UnsupportedAdapterError, match=kind):
        require_low_rank(kind, PLACE)
