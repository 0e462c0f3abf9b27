"""Laws of finding base weights: prefixes and renames change nothing, and no weight serves two."""

from hypothesis import given
from hypothesis import strategies as st

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.checkpoint.base_names import find_path, index_names
from gradience.core.checkpoint.facts import CheckpointFacts
from gradience.core.checkpoint.recipe import WeightRecipe, WeightTarget, find_recipe
from gradience.core.checkpoint.renames import FAMILIES, canonical_name
from gradience.core.checkpoint.stored_weights import checkpoint_weights

LEAVES = (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
    "mlp.up_proj", "mlp.down_proj", "attn.c_attn", "attn.c_proj", "attention.self.query",
    "attention.output.dense", "output.dense", "experts.0.w1", "experts.1.w1",
    "layer.0.SelfAttention.q", "layer.1.EncDecAttention.q",
)  # fmt: skip
STEMS = (
    ("layers",), ("h",), ("blocks",), ("encoder.layer",), ("encoder.layers", "decoder.layers"),
    ("encoder.block", "decoder.block"),
)  # fmt: skip
"""Where the layers of one model are."""

PREFIXES = st.lists(
    st.sampled_from(
        ["model", "transformer", "bert", "base_model", "language_model", "wrapped", "net"]
    ),
    max_size=3,
).map(lambda parts: "".join(f"{part}." for part in parts))
HEADS = st.sampled_from(["", "model.", "bert.", "language_model.model.", "model.language_model."])
TYPES = st.sampled_from([None, "llama", *sorted(FAMILIES)])


@st.composite
def modules(draw: st.DrawFn, choice: tuple[str, ...] = LEAVES) -> list[str]:
    """Names of the linear layers of one bare model: distinct, of one network or two."""
    stems = draw(st.sampled_from(STEMS))
    leaves = draw(st.lists(st.sampled_from(choice), min_size=1, max_size=5, unique=True))
    layers = range(draw(st.integers(1, 12)))
    return [f"{stem}.{layer}.{leaf}" for stem in stems for layer in layers for leaf in leaves]


@given(modules(), PREFIXES)
def test_a_prefix_on_the_modules_finds_the_same_weights(names: list[str], prefix: str) -> None:
    index = index_names(names, "llama")
    assert [find_path(prefix + name, index, lambda _: True) for name in names] == names


@given(modules(), PREFIXES)
def test_a_prefix_on_the_checkpoint_finds_the_same_weights(names: list[str], prefix: str) -> None:
    stored = [prefix + name for name in names]
    index = index_names(stored, "llama")
    assert [find_path(name, index, lambda _: True) for name in names] == stored


@given(modules(), modules(), PREFIXES, PREFIXES, TYPES)
def test_no_weight_serves_two_modules(
    names: list[str], stored: list[str], on_modules: str, on_stored: str, model_type: str | None
) -> None:
    index = index_names([on_stored + name for name in stored], model_type)
    found = [find_path(on_modules + name, index, lambda _: True) for name in names]
    paths = [path for path in found if isinstance(path, str)]
    assert len(set(paths)) == len(paths)


@given(modules(LEAVES[:-2]), HEADS, st.sampled_from(sorted(FAMILIES)))
def test_a_canonical_name_is_its_own(names: list[str], prefix: str, model_type: str) -> None:
    family = FAMILIES[model_type]
    for name in names:
        once = canonical_name(prefix + name, family)
        assert canonical_name(once, family) == once


@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 64))
def test_q_k_and_v_share_out_every_row_of_their_stack(groups: int, kv: int, d_in: int) -> None:
    sizes = (groups * kv, kv, kv)
    name = "model.layers.0.self_attn"
    tensor = TensorInfo(f"{name}.qkv_proj.weight", (sum(sizes), d_in), "F32")
    weights = checkpoint_weights([tensor], CheckpointFacts())
    rows: list[int] = []
    for leaf, size in zip(("q_proj", "k_proj", "v_proj"), sizes, strict=True):
        target = WeightTarget(module=f"{name}.{leaf}", shape=(size, d_in))
        recipe = find_recipe(target, weights)
        assert isinstance(recipe, WeightRecipe)
        assert recipe.parts[0].rows is not None
        rows.extend(range(*recipe.parts[0].rows))
    assert rows == list(range(sum(sizes)))
