"""The view of a model and an adapter on it."""

from io import StringIO

import pytest
from rich.console import Console

from gradience.cli.views.model_fit import render_model_fit
from gradience.core.architecture.fit import ModelFit, ModuleFit


def rendered(fit: ModelFit | None, width: int = 100) -> str:
    """The view as text."""
    output = StringIO()
    render_model_fit(fit, Console(file=output, width=width, no_color=True))
    return output.getvalue()


def module(name: str, r: int) -> ModuleFit:
    """A module of 4 x 4."""
    return ModuleFit(
        name=name, in_features=4, out_features=4, r=r, alpha=2.0 * r, scaling=2.0, params=8 * r
    )


FIT = ModelFit(
    model_type="llama",
    n_layers=32,
    base_params=8_030_261_248,
    modules=(module("a", 8), module("b", 8), module("c", 4)),
    matched={"q_proj": 32, "nothing": 0},
    unmatched_targets=("nothing",),
    unmatched_patterns=("v_proj",),
    trainable_params=41_943_040,
    saved_module_params=10,
    adapter_bytes=167_832_072,
    optimizer_bytes=335_544_320,
    gradient_bytes=167_772_160,
    weight_bytes=167_772_160,
    max_rank=8,
)


MEMORY = (
    "weights 167.8 MB, gradients 167.8 MB, optimizer states 335.5 MB (without base weights and "
    "activations)"
)


def test_the_whole_of_it() -> None:
    lines = [" ".join(line.split()) for line in rendered(FIT, 140).splitlines() if line.strip()]
    assert lines == [
        "model type llama, 32 layers, 8.03 billion parameters",
        "modules matched q_proj 32",
        "matched by nothing nothing",
        "patterns unused v_proj",
        "ranks r 4, s 2: 1; r 8, s 2: 2",
        "trained parameters 41,943,040 (0.522 % of the model), of them 10 in modules trained whole",
        "adapter file 167.8 MB",
        f"training memory {MEMORY}",
    ]


def test_no_fit_is_no_line() -> None:
    assert rendered(None) == ""


def test_a_reason_alone() -> None:
    assert rendered(ModelFit(reason="it is not here")).strip() == "model: it is not here"


def test_a_reason_beside_what_is_known() -> None:
    text = rendered(ModelFit(model_type="gpt2", base_params=999, reason="no rank is given"))
    assert "gpt2, 999 parameters" in text
    assert "model: no rank is given" in text


def test_long_lists_are_cut() -> None:
    text = rendered(ModelFit(unmatched_targets=tuple(f"t{n}" for n in range(20))), 200)
    assert "t11 and 8 more" in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_any_width(width: int) -> None:
    assert "41,943,040" in rendered(FIT, width)
