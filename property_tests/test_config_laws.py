"""Laws of configurations: how they are laid over each other, and their round trip through files."""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import yaml
from hypothesis import given

from gradience.core.checking.check import check_config
from gradience.core.config.readers import overlay, with_ratio
from gradience.core.config.snapshot import ConfigSnapshot, fold_unknown_keys
from gradience.shell.configs import load_config
from property_tests.events import CONFIGS, JSON_OBJECTS

# Equality is that of repr: exact, and NaN equals NaN.


@given(CONFIGS)
def test_an_empty_config_changes_nothing(config: ConfigSnapshot) -> None:
    assert repr(overlay(config, ConfigSnapshot())) == repr(config)
    assert repr(overlay(ConfigSnapshot(), config)) == repr(config)


@given(CONFIGS, CONFIGS)
def test_what_the_upper_config_says_wins(base: ConfigSnapshot, over: ConfigSnapshot) -> None:
    merged = overlay(base, over)
    said = over.optimizer.lr if over.optimizer.lr is not None else base.optimizer.lr
    assert repr(merged.optimizer.lr) == repr(said)
    assert merged.lora.r == (base.lora.r if over.lora.r is None else over.lora.r)
    assert repr({**base.extras, **over.extras}) == repr(merged.extras)


@given(CONFIGS, CONFIGS)
def test_laying_the_same_over_twice_changes_nothing(
    base: ConfigSnapshot, over: ConfigSnapshot
) -> None:
    once = overlay(base, over)
    assert repr(overlay(once, over)) == repr(once)


@given(CONFIGS, CONFIGS, CONFIGS)
def test_three_configs_may_be_joined_from_either_end(
    low: ConfigSnapshot, middle: ConfigSnapshot, high: ConfigSnapshot
) -> None:
    upward = overlay(overlay(low, middle), high)
    assert repr(overlay(low, overlay(middle, high))) == repr(upward)


@given(CONFIGS, CONFIGS)
def test_overlay_does_not_mutate(base: ConfigSnapshot, over: ConfigSnapshot) -> None:
    before = repr((base, over))
    overlay(base, over)
    assert repr((base, over)) == before


@given(CONFIGS)
def test_the_ratio_is_worked_out_once(config: ConfigSnapshot) -> None:
    once = with_ratio(config)
    assert repr(with_ratio(once)) == repr(once)


@given(CONFIGS)
def test_every_config_is_judged_and_impossible_values_are_never_ok(config: ConfigSnapshot) -> None:
    report = check_config(config)
    actions = {item.action for item in report.recommendations}
    floats = (config.optimizer.lr, config.optimizer.weight_decay, config.training.epochs)
    if any(value is not None and not math.isfinite(value) for value in floats):
        assert "fix_value" in actions
    if config.lora.r is not None and config.lora.r < 1:
        assert "set_rank" in actions
    assert ("config_ok" in actions) is (actions == {"config_ok"})


@given(CONFIGS)
def test_gradiences_own_yaml_round_trips(config: ConfigSnapshot) -> None:
    text = yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False)
    assert repr(loaded("check.yaml", text)) == repr(config)


@given(CONFIGS)
def test_gradiences_own_json_round_trips(config: ConfigSnapshot) -> None:
    text = json.dumps(msgspec.to_builtins(config))
    assert repr(loaded("check.json", text)) == repr(config)


def loaded(name: str, text: str) -> ConfigSnapshot:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        return load_config(path)


@given(CONFIGS, JSON_OBJECTS.map(lambda keys: {f"new {key}": keys[key] for key in keys}))
def test_keys_of_a_newer_version_are_folded_and_counted(
    config: ConfigSnapshot, new: dict[str, object]
) -> None:
    raw = {**msgspec.to_builtins(config), **new}
    before = repr(raw)
    folded, moved = fold_unknown_keys(raw)
    assert sorted(moved) == sorted(new)
    assert repr(raw) == before
    read = msgspec.convert(folded, ConfigSnapshot)
    assert read.extras.keys() == {*config.extras, *new}
