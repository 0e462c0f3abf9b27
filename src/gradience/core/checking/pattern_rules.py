"""Rules on names that match nothing, and on initialisations that change more than the adapter."""

from collections.abc import Iterator

from gradience.core.adapter.module_names import ModuleType, module_type
from gradience.core.adapter.peft_config import BASE_CHANGING_INITS
from gradience.core.checking.pattern_keys import never_matches
from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.readings import is_plain, table
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.severity import Severity

_RESTORABLE = ("pissa", "olora", "corda", "lora_ga")
"""Initialisations that PEFT can take back when it saves (``_post_init`` of its LoraConfig)."""


_SHOWN = 5
"""Names that a message lists."""


def _pattern_keys(subject: Subject) -> list[str]:
    extras = subject.config.lora.extras
    keys = [*table(extras, "rank_pattern"), *table(extras, "alpha_pattern")]
    return list(dict.fromkeys(keys))


def _unmatched_patterns(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.model is not None and subject.model.modules:
        unmatched = list(subject.model.unmatched_patterns)
    else:
        targets = subject.targets
        unmatched = [key for key in _pattern_keys(subject) if never_matches(key, targets)]
    if not unmatched:
        return None
    return Verdict(
        Severity.WARNING,
        f"{_listed(unmatched)} in rank_pattern or alpha_pattern matches no adapted module, which "
        "then gets the default rank and alpha",
        {"unmatched": unmatched},
    )


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(map(repr, keys[:_SHOWN])) + more


def _unmatched_targets(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.model is None:
        return _name_as_expression(subject)
    if not subject.model.unmatched_targets:
        return None
    unmatched = list(subject.model.unmatched_targets)
    if subject.model.modules:
        return Verdict(
            Severity.WARNING,
            f"target {_listed(unmatched)} matches no module of the model: it is passed over in "
            "silence",
            {"unmatched": unmatched},
        )
    return Verdict(
        Severity.ERROR,
        f"no target matches any module of the model ({_listed(unmatched)})",
        {"unmatched": unmatched},
    )


def _name_as_expression(subject: Subject) -> Verdict | None:
    """One string is an expression for whole names, which a layer's module does not match."""
    name = subject.whole_name
    if name is None or "." in name or module_type(name) is ModuleType.OTHER:
        return None
    return Verdict(
        Severity.WARNING,
        f"target_modules={name!r} as one string must match a module's whole name, and a module "
        f"within a layer has a longer one: write a list, [{name}]",
        {"target_modules": name},
    )


def _shadowed(subject: Subject, _: CheckPolicy) -> Verdict | None:
    hidden = [
        f"{later!r} in {name}, by {earlier!r}"
        for name, pattern in (
            ("rank_pattern", subject.rank_pattern),
            ("alpha_pattern", subject.alpha_pattern),
        )
        for earlier, later in _hidden(tuple(pattern))
        if pattern[earlier] != pattern[later]
    ]
    if not hidden:
        return None
    return Verdict(
        Severity.WARNING,
        f"never reached, as the first key that matches decides: {'; '.join(hidden[:_SHOWN])}",
        {"shadowed": hidden},
    )


def _hidden(keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The first earlier key that matches whatever a later one matches, and the later one."""
    seen: dict[str, None] = {}
    for later in keys:
        parts = later.split(".") if is_plain(later) else []
        endings = (".".join(parts[start:]) for start in range(1, len(parts)))
        found = next((ending for ending in endings if ending in seen), None)
        if found is not None:
            yield found, later
        seen[later] = None


def _moves_base(subject: Subject) -> str | None:
    init = subject.init
    return init if isinstance(init, str) and init.startswith(BASE_CHANGING_INITS) else None


def _init_changes_base(subject: Subject, _: CheckPolicy) -> Verdict | None:
    init = _moves_base(subject)
    if init is None:
        return None
    return Verdict(
        Severity.INFO,
        f"init_lora_weights={init} changes the base weights: the adapter alone is not the update. "
        "Keep the initial adapter, or convert when saving",
        {"init_lora_weights": init},
    )


def _not_restorable(subject: Subject, _: CheckPolicy) -> Verdict | None:
    init = _moves_base(subject)
    if init is None or not init.startswith(_RESTORABLE):
        return None
    if not subject.uses_rslora or not _pattern_keys(subject):
        return None
    return Verdict(
        Severity.WARNING,
        f"init_lora_weights={init} with rsLoRA and patterns cannot be converted to plain LoRA when "
        "it is saved: the changed base must be kept",
        {"init_lora_weights": init, "use_rslora": True},
    )


def _random_init(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.config.lora.extras.get("init_lora_weights") is not False:
        return None
    return Verdict(
        Severity.WARNING,
        "init_lora_weights=false starts from a random update instead of none: it is for tests",
        {"init_lora_weights": False},
    )


def _trained_bias(subject: Subject, _: CheckPolicy) -> Verdict | None:
    bias = subject.config.lora.bias
    if bias is None or bias == "none":
        return None
    return Verdict(
        Severity.INFO,
        f"bias={bias} trains biases of the base: with the adapter switched off, the model is no "
        "longer the base model",
        {"bias": bias},
    )


RULES = (
    Rule(
        code="GR902",
        name="pattern-matches-nothing",
        summary="A key of rank_pattern or alpha_pattern that matches no module.",
        severity=Severity.WARNING,
        action="fix_pattern",
        scope="lora.rank_pattern",
        rationale="PEFT passes over such a key (since #3588 with a warning): the module falls back "
        "to the default rank and alpha.",
        source="huggingface/peft#3582 and #3588; SimpleTuner's like: bghira/SimpleTuner#766",
        confidence=0.9,
        refuted_by="A module of the saved adapter has the rank of the key.",
        judge=_unmatched_patterns,
        speaks="lora: {target_modules: [q_proj], extras: {rank_pattern: {^q_proj: 8}}}",
        silent="lora: {target_modules: [q_proj], extras: {rank_pattern: {layers.0.q_proj: 8}}}",
        lora_only=True,
    ),
    Rule(
        code="GR903",
        name="target-matches-nothing",
        summary="A target module that the model does not have.",
        severity=Severity.ERROR,
        action="set_target_modules",
        scope="lora.target_modules",
        rationale="PEFT raises only when nothing at all matches.",
        source="bghira/SimpleTuner#766; huggingface/peft#3610; the PEFT package, 0.21",
        confidence=0.9,
        refuted_by="The saved adapter holds factors for that target.",
        judge=_unmatched_targets,
        speaks="{lora: {target_modules: [q]}, model_fit: {unmatched_targets: [q]}}",
        silent="{lora: {target_modules: [q]}, model_fit: {matched: {q: 2}}}",
        lora_only=True,
    ),
    Rule(
        code="GR904",
        name="pattern-shadowed",
        summary="A pattern key that an earlier, shorter one hides.",
        severity=Severity.WARNING,
        action="fix_pattern",
        scope="lora.rank_pattern",
        rationale="PEFT takes the first key that matches, not the longest.",
        source="The PEFT package's get_pattern_key, 0.21; huggingface/peft#2419",
        confidence=0.9,
        refuted_by="A module of the saved adapter has the rank of the later key.",
        judge=_shadowed,
        speaks="lora: {extras: {rank_pattern: {q_proj: 8, layers.0.q_proj: 16}}}",
        silent="lora: {extras: {rank_pattern: {layers.0.q_proj: 16, q_proj: 8}}}",
        lora_only=True,
    ),
    Rule(
        code="GR905",
        name="initialisation-changes-base",
        summary="An initialisation that changes the base weights.",
        severity=Severity.INFO,
        action="keep_initial_adapter",
        scope="lora.init_lora_weights",
        rationale="B·A then holds part of the weight, and the base without it is another model.",
        source="The PEFT package's LoraConfig, 0.21: PiSSA, OLoRA, LoRA-GA, CorDA, LoftQ",
        confidence=0.9,
        refuted_by="The base weights before training equal those that were loaded.",
        judge=_init_changes_base,
        speaks="lora: {extras: {init_lora_weights: pissa_niter_16}}",
        silent="lora: {extras: {init_lora_weights: gaussian}}",
        lora_only=True,
    ),
    Rule(
        code="GR906",
        name="initialisation-not-restorable",
        summary="An initialisation that cannot be converted back when it is saved.",
        severity=Severity.WARNING,
        action="keep_initial_adapter",
        scope="lora.init_lora_weights",
        rationale="The conversion doubles the rank, which these scalings do not survive.",
        source="The PEFT package's LoraConfig.__post_init__, 0.21, which warns",
        confidence=0.8,
        refuted_by="save_pretrained with path_initial_model_for_weight_conversion succeeds.",
        judge=_not_restorable,
        speaks="lora: {extras: {init_lora_weights: olora, use_rslora: true, rank_pattern: {q: 4}}}",
        silent="lora: {extras: {init_lora_weights: olora, rank_pattern: {q: 4}}}",
        lora_only=True,
    ),
    Rule(
        code="GR907",
        name="random-initialisation",
        summary="Training starts from a random update.",
        severity=Severity.WARNING,
        action="fix_value",
        scope="lora.init_lora_weights",
        rationale="The first forward pass is not the base model's.",
        source="The PEFT package's LoraConfig, 0.21: for debugging",
        confidence=0.9,
        refuted_by="The eval loss before the first step is the base model's.",
        judge=_random_init,
        speaks="lora: {extras: {init_lora_weights: false}}",
        silent="lora: {extras: {init_lora_weights: true}}",
        lora_only=True,
    ),
    Rule(
        code="GR913",
        name="trained-bias",
        summary="Biases of the base are trained.",
        severity=Severity.INFO,
        action="review_bias",
        scope="lora.bias",
        rationale="The base is changed outside the factors.",
        source="The PEFT package's LoraConfig, 0.21",
        confidence=0.9,
        refuted_by="The outputs with the adapter disabled are the base model's.",
        judge=_trained_bias,
        speaks="lora: {bias: lora_only}",
        silent="lora: {bias: none}",
        lora_only=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
