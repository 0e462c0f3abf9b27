"""diffusers' layouts: three old forms and the new one, with its configuration in the header."""

import json
import math

import pytest

from gradience.core.adapter.diffusers_layout import METADATA_KEY, read_diffusers
from gradience.core.adapter.tensors import TensorInfo, TensorKind
from gradience.core.errors import ConfigError
from tests.adapter_files import names_in

BLOCK = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1"
NEW = ("{}.to_q.lora_A.weight", "{}.to_q.lora_B.weight")
FORMS = [
    NEW,
    ("{}.to_q.lora_A.default.weight", "{}.to_q.lora_B.default.weight"),
    ("{}.to_q.lora.down.weight", "{}.to_q.lora.up.weight"),
    ("{}.processor.to_q_lora.down.weight", "{}.processor.to_q_lora.up.weight"),
    ("{}.to_q.lora_linear_layer.down.weight", "{}.to_q.lora_linear_layer.up.weight"),
]


def _pair(form: tuple[str, str] = NEW, block: str = BLOCK) -> list[TensorInfo]:
    down, up = (name.format(block) for name in form)
    return [TensorInfo(down, (4, 6), "F32"), TensorInfo(up, (8, 4), "F32")]


def _metadata(**fields: object) -> dict[str, str]:
    settings = {f"unet.{name}": value for name, value in fields.items()}
    return {METADATA_KEY: json.dumps(settings)}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_names_the_same_module(form: tuple[str, str]) -> None:
    contents = read_diffusers(_pair(form), {}, {})
    (pair,) = contents.pairs
    assert (pair.module, pair.rank, pair.update_shape) == (f"{BLOCK}.to_q", 4, (8, 6))
    assert pair.scaling.scale == 1.0
    (note,) = contents.notes
    assert note.startswith("1 module without an alpha tensor or a configuration in the header")
    assert note.endswith("; diffusers scales by 1")


@pytest.mark.parametrize("end", ["alpha", "lora.alpha"])
def test_an_alpha_tensor_scales(end: str) -> None:
    contents = read_diffusers(_pair(), {f"{BLOCK}.to_q.{end}": 2.0}, {})
    assert (contents.pairs[0].scaling.scale, contents.notes) == (0.5, ())


def test_the_header_scales_by_component_with_patterns() -> None:
    metadata = _metadata(
        r=8, lora_alpha=16, rank_pattern={"attn1.to_q": 4}, alpha_pattern={"attn1.to_q": 6}
    )
    other = _pair(block="text_encoder.layers.0.attn1")
    contents = read_diffusers([*_pair(), *other], {}, metadata)
    scalings = [pair.scaling for pair in contents.pairs]
    assert scalings[0] == (4, 6.0, 1.5)
    assert scalings[1].scale == 1.0
    assert contents.notes[0].startswith("1 module without")


def test_the_header_may_ask_for_rslora() -> None:
    metadata = _metadata(r=4, lora_alpha=16, use_rslora=True)
    (pair,) = read_diffusers(_pair(), {}, metadata).pairs
    assert pair.scaling.scale == 16 / math.sqrt(4)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "expected JSON"), ("[1]", "expected an object"), ('{"unet.r": "x"}', "unet: .*r")],
)
def test_a_damaged_header_is_refused_with_its_key(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"metadata {METADATA_KEY}.*{words}"):
        read_diffusers(_pair(), {}, {METADATA_KEY: text})


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("alpha", TensorKind.SCALING),
        ("lora_magnitude_vector", TensorKind.DORA_MAGNITUDE),
        ("dora_scale", TensorKind.DORA_MAGNITUDE),
        ("lora_B.bias", TensorKind.LORA_BIAS),
        ("lora_A", TensorKind.UNREAD_FACTOR),
        ("bias", TensorKind.BIAS),
        ("weight", TensorKind.SAVED_MODULE),
    ],
)
def test_other_tensors_are_named(end: str, kind: TensorKind) -> None:
    tensor = TensorInfo(f"{BLOCK}.to_q.{end}", (4, 4), "F32")
    contents = read_diffusers([*_pair(), tensor], {}, {})
    assert contents.others == ((tensor, kind),)


def test_two_forms_of_one_module_are_not_lost() -> None:
    tensors = [*_pair(FORMS[2]), *_pair(FORMS[4])]
    contents = read_diffusers(tensors, {}, {})
    assert len(contents.pairs) == 1
    assert sorted(names_in(contents)) == sorted(tensor.name for tensor in tensors)
