"""Finding an adapter's files, whichever tool wrote them, and refusing what is none."""

from pathlib import Path

import pytest

from gradience.core.errors import AdapterError, ConfigError, UnsupportedAdapterError
from gradience.shell.adapters.folder import WEIGHT_NAMES, find_adapter, find_config, read_config
from tests.adapter_files import Q_PROJ, factors, write_modules


def _files(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text('{"peft_type": "LORA"}' if name.endswith("json") else "x")
    return folder


def test_both_files_are_found(tmp_path: Path) -> None:
    found = find_adapter(write_modules(tmp_path, {Q_PROJ: factors()}))
    assert found.folder == tmp_path
    assert found.config == tmp_path / "adapter_config.json"
    assert found.weights == tmp_path / "adapter_model.safetensors"
    assert found.twin is None


@pytest.mark.parametrize("name", WEIGHT_NAMES)
def test_the_files_of_every_tool_are_found_by_name(tmp_path: Path, name: str) -> None:
    assert find_adapter(_files(tmp_path, name)).weights.name == name


def test_safetensors_are_preferred_and_the_pickle_is_their_twin(tmp_path: Path) -> None:
    found = find_adapter(_files(tmp_path, "adapter_model.bin", "adapter_model.safetensors"))
    assert found.weights.name == "adapter_model.safetensors"
    assert found.twin == tmp_path / "adapter_model.bin"


def test_a_pickle_alone_has_no_twin(tmp_path: Path) -> None:
    assert find_adapter(_files(tmp_path, "adapter_model.bin")).twin is None


def test_a_file_of_any_name_is_taken_where_it_is_the_only_one(tmp_path: Path) -> None:
    assert find_adapter(_files(tmp_path, "my_lora.safetensors")).weights.name.startswith("my")


def test_several_files_of_other_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"found 2 safetensors files.*--weights"):
        find_adapter(_files(tmp_path, "a.safetensors", "b.safetensors"))


def test_a_weight_file_is_an_adapter_with_the_config_beside_it(tmp_path: Path) -> None:
    folder = _files(tmp_path, "a.safetensors", "b.safetensors", "adapter_config.json")
    found = find_adapter(folder / "b.safetensors")
    assert (found.weights.name, found.folder) == ("b.safetensors", tmp_path)
    assert found.config == tmp_path / "adapter_config.json"


def test_files_that_lie_elsewhere_are_taken(tmp_path: Path) -> None:
    _files(tmp_path, "other.json", "other.safetensors")
    (tmp_path / "empty").mkdir()
    other = tmp_path / "other.json", tmp_path / "other.safetensors"
    found = find_adapter(tmp_path / "empty", *other)
    assert (found.config, found.weights) == other


def test_a_folder_without_a_config_has_none(tmp_path: Path) -> None:
    assert find_adapter(_files(tmp_path, "lora.safetensors")).config is None
    assert find_config(tmp_path) is None
    assert read_config(None) is None


def test_a_config_that_was_named_must_be_there(tmp_path: Path) -> None:
    _files(tmp_path, "lora.safetensors")
    with pytest.raises(AdapterError, match=r"nowhere\.json: expected the adapter's configuration"):
        find_adapter(tmp_path, tmp_path / "nowhere.json")


def test_missing_weights_tell_what_the_folder_holds(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"found notes\.txt"):
        find_adapter(_files(tmp_path, "notes.txt"))


def test_adapters_in_folders_below_are_named(tmp_path: Path) -> None:
    for name in ("checkpoint-500", "checkpoint-1000"):
        _files(tmp_path / name, "adapter_model.safetensors")
    (tmp_path / "runs").mkdir()
    words = r"in its folders checkpoint-1000, checkpoint-500: name one of them\.$"
    with pytest.raises(AdapterError, match=words):
        find_adapter(tmp_path)


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"expected adapter_model\.safetensors or .* nothing"):
        find_adapter(tmp_path)


def test_a_place_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"expected an adapter's folder or .* found nothing"):
        find_adapter(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"peft_type": "LORA"', "null"])
def test_a_damaged_config_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    folder = _files(tmp_path, "adapter_model.safetensors")
    (folder / "adapter_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"adapter_config\.json"):
        find_adapter(folder)


@pytest.mark.parametrize("kind", ["IA3", "vera", "LOHA", "LOKR", "OFT", "PROMPT_TUNING", "NEW"])
def test_other_methods_are_declined_before_any_weight_is_looked_for(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(f'{{"peft_type": "{kind}"}}')
    with pytest.raises(UnsupportedAdapterError, match=kind.upper()):
        find_adapter(tmp_path)


@pytest.mark.parametrize("config", ['{"lora_parameters": {}}', '{"peft_type": "ADALORA"}'])
def test_configs_of_what_is_audited_pass(tmp_path: Path, config: str) -> None:
    folder = _files(tmp_path, "adapters.safetensors")
    (folder / "adapter_config.json").write_text(config)
    assert read_config(find_adapter(folder).config) is not None
