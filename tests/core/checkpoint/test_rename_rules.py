"""The table of renames is that of the installed transformers."""

import re

import pytest

from gradience.core.checkpoint.rename_rules import RULES

NO_MATRIX = ("LayerNorm.gamma", "LayerNorm.beta", ".weight_g", ".weight_v")
"""Sources of renames that are left out: they concern norms and convolutions alone."""


@pytest.mark.parametrize("name", sorted(RULES))
def test_renames_are_those_of_transformers(name: str) -> None:
    mapping = pytest.importorskip(
        "transformers.conversion_mapping", reason="compares with transformers 5's table"
    )
    loading = pytest.importorskip("transformers.core_model_loading")
    transforms = [
        transform
        for transform in mapping.get_checkpoint_conversion_mapping(name)
        if isinstance(transform, loading.WeightRenaming)
        and transform.source_patterns[0] not in NO_MATRIX
    ]
    expected = [("|".join(each.source_patterns), *each.target_patterns) for each in transforms]
    assert list(RULES[name]) == expected


def test_no_rename_depends_on_which_number_a_layer_has() -> None:
    patterns = [pattern for rules in RULES.values() for pattern, _ in rules]
    assert [pattern for pattern in patterns if re.search(r"\.\d", pattern)] == []
