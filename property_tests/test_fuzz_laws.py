"""Laws of hostile input: whatever an adapter says, the audit gives a report or a GradienceError."""

import json
import math
import re
import tempfile
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from gradience.api import audit
from gradience.core.adapter.pattern_cost import most_paths
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport
from gradience.core.errors import GradienceError

A_KEY = "base_model.model.m.q_proj.lora_A.weight"
B_KEY = "base_model.model.m.q_proj.lora_B.weight"
DTYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I8", "BOOL", "F4", "C64", "F31", 3)
LENGTHS = st.one_of(st.integers(-2, 12), st.sampled_from([2**31, 2**63, 2**64]))
CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}
FIELDS = (
    "peft_type r lora_alpha target_modules rank_pattern alpha_pattern use_rslora use_dora bias "
    "modules_to_save init_lora_weights target_parameters layer_replication init_r"
).split()
NUMBERS = st.one_of(
    st.integers(-3, 5), st.floats(), st.sampled_from([10**30, 10**400, 1e308, 5e-324])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=6), st.just("ADALORA")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text("aq_proj.*+?(|)[]{}\\", max_size=8)), inner, max_size=3),
    ),
    max_leaves=6,
)
ATOMS = st.sampled_from(["a", "b", ".", "[ab]", r"\.", "ab"])
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "{2,3}"])


def _audited(weights: bytes, config: object) -> AuditReport | None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "adapter_model.safetensors").write_bytes(weights)
        (folder / "adapter_config.json").write_text(json.dumps(config))
        try:
            report = audit(folder, policy=AuditPolicy(layers=True), rank_policies=["energy@0.9"])
        except GradienceError as error:
            assert str(error)
            return None
    assert msgspec.json.decode(msgspec.json.encode(report))
    return report


@st.composite
def _tensors(draw: st.DrawFn) -> object:
    shape = draw(st.lists(LENGTHS, max_size=4))
    offsets = draw(st.lists(LENGTHS, min_size=1, max_size=3))
    return {"dtype": draw(st.sampled_from(DTYPES)), "shape": shape, "data_offsets": offsets}


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    names = st.one_of(st.sampled_from([A_KEY, B_KEY, "__metadata__"]), st.text(max_size=5))
    header = json.dumps(draw(st.dictionaries(names, _tensors(), max_size=3))).encode()
    length = draw(st.one_of(st.just(len(header)), st.integers(0, 2**64 - 1)))
    return length.to_bytes(8, "little") + header + draw(st.binary(max_size=64))


@st.composite
def _shaped(draw: st.DrawFn) -> bytes:
    """Two factors of any small shapes, with any bytes for values."""
    kinds = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
    header, data = {}, b""
    for key in (A_KEY, B_KEY):
        kind = draw(st.sampled_from(sorted(kinds)))
        shape = draw(st.lists(st.integers(0, 3), min_size=2, max_size=4))
        size = kinds[kind] * math.prod(shape)
        offsets = [len(data), len(data) + size]
        header[key] = {"dtype": kind, "shape": shape, "data_offsets": offsets}
        data += draw(st.binary(min_size=size, max_size=size))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _good() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.safetensors"
        save_file({A_KEY: np.ones((2, 3)), B_KEY: np.ones((4, 2))}, path)
        return path.read_bytes()


GOOD = _good()


@given(st.one_of(st.binary(max_size=80), _files()))
def test_any_bytes_end_in_a_report_or_an_error(data: bytes) -> None:
    _audited(data, CONFIG)


@given(_shaped())
def test_any_small_factors_give_a_report(data: bytes) -> None:
    report = _audited(data, CONFIG)
    assert report is not None
    assert report.n_layers + len(report.findings) > 0


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_any_config_ends_in_a_report_or_an_error(changes: dict[str, object]) -> None:
    _audited(GOOD, {**CONFIG, **changes})


@st.composite
def _expressions(draw: st.DrawFn, depth: int = 2) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        atom = draw(ATOMS)
        if depth and draw(st.booleans()):
            inner = draw(_expressions(depth - 1))
            atom = draw(st.sampled_from(["({})", "(?:{})", "(?=({}))", "(x|{})"])).format(inner)
        parts.append(atom + draw(QUANTIFIERS))
    return draw(st.sampled_from(["", "a|"])) + "".join(parts)


@given(_expressions(), st.text("ab.x", min_size=1, max_size=9))
def test_the_bound_is_never_below_the_ways_to_match(expression: str, name: str) -> None:
    try:
        re.compile(expression)
    except re.error:
        assume(False)  # noqa: FBT003  Hypothesis takes it so
    bound = most_paths(expression, len(name))
    assert bound >= 1
    ends = {end for end in range(len(name) + 1) if re.fullmatch(expression, name[:end])}
    assert bound >= len(ends) * (1 - 1e-9)


@given(_expressions(), st.integers(0, 40), st.integers(0, 40))
def test_the_bound_grows_with_the_name(expression: str, one: int, two: int) -> None:
    short, long = sorted([one, two])
    assert most_paths(expression, short) <= most_paths(expression, long) * (1 + 1e-9)
