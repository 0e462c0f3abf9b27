"""Unknown keys of a configuration are moved, never dropped."""

from gradience.core.config.snapshot import fold_unknown_keys


def test_a_known_config_stays_as_it_is() -> None:
    config = {"model_name": "m", "lora": {"r": 8}, "extras": {"a": 1}}
    assert fold_unknown_keys(config) == (config, ())


def test_unknown_keys_go_to_the_extras_beside_them() -> None:
    folded, moved = fold_unknown_keys({"host": 1, "optimizer": {"momentum": 2}})
    assert folded == {"extras": {"host": 1}, "optimizer": {"extras": {"momentum": 2}}}
    assert moved == ("host", "optimizer.momentum")


def test_extras_that_are_there_win() -> None:
    folded, _ = fold_unknown_keys({"host": 1, "extras": {"host": 2}})
    assert folded == {"extras": {"host": 2}}


def test_the_input_is_not_mutated() -> None:
    config = {"host": 1, "lora": {"new": 2}}
    fold_unknown_keys(config)
    assert config == {"host": 1, "lora": {"new": 2}}
