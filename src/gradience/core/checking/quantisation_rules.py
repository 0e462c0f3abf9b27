"""Rules on a quantised base model."""

from gradience.core.adapter.peft_config import BASE_CHANGING_INITS
from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.precision_rules import FP16
from gradience.core.checking.readings import table, text, written
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.severity import Severity

_FOUR = 4.0
"""Bits of QLoRA's base; fewer are no better."""

_FULL_WEIGHTS = ("pissa", "corda")
"""Initialisations that PEFT refuses on a weight that is no float (their ``_init`` methods)."""

_FLOAT32 = frozenset({"float32", "fp32", "torch.float32"})


def _four_bit(subject: Subject) -> bool:
    return subject.bits is not None and subject.bits <= _FOUR


def _quantisation(subject: Subject, name: str) -> str | None:
    return text(table(subject.config.extras, "quantization"), name)


def _compute_dtype(subject: Subject, _: CheckPolicy) -> Verdict | None:
    dtype = _quantisation(subject, "compute_dtype")
    if not _four_bit(subject) or dtype is None or dtype not in FP16 | _FLOAT32:
        return None
    why = "overflows where bf16 does not" if dtype in FP16 else "is slow; bf16 is usual"
    return Verdict(
        Severity.INFO,
        f"the quantised base computes in {dtype}, which {why}",
        {"compute_dtype": dtype},
    )


def _merging(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if not _four_bit(subject) or not subject.has_adapter:
        return None
    return Verdict(
        Severity.INFO,
        f"the base is in {written(subject.bits)} bits: merging the adapter into it rounds, and "
        "outputs change; merge into "
        "the 16-bit base, and evaluate what you merged",
        {"bits": subject.bits},
    )


def _all_linear(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if not _four_bit(subject) or not subject.attention_only:
        return None
    return Verdict(
        Severity.INFO,
        "on a base of 4 bits QLoRA needed LoRA on all linear layers to match 16-bit fine-tuning",
        {"bits": subject.bits},
    )


def _init(subject: Subject, _: CheckPolicy) -> Verdict | None:
    init = subject.init
    if subject.bits is None or not isinstance(init, str) or not init.startswith(_FULL_WEIGHTS):
        return None
    return Verdict(
        Severity.ERROR,
        f"init_lora_weights={init} decomposes the base weight, and PEFT refuses one in "
        f"{subject.bits:g} bits: initialise on the 16-bit model, then quantise the residual",
        {"init_lora_weights": init, "bits": subject.bits},
    )


def _loftq(subject: Subject, _: CheckPolicy) -> Verdict | None:
    init = subject.init
    if subject.bits is None or init != "loftq":
        return None
    return Verdict(
        Severity.WARNING,
        "LoftQ on a base that is quantised already: it must be given the 16-bit model, which it "
        "quantises itself",
        {"init_lora_weights": init, "bits": subject.bits},
    )


def _moved_base(subject: Subject, _: CheckPolicy) -> Verdict | None:
    init = subject.init
    if subject.bits is None or not isinstance(init, str) or init == "loftq":
        return None
    if not init.startswith(BASE_CHANGING_INITS) or init.startswith(_FULL_WEIGHTS):
        return None
    return Verdict(
        Severity.INFO,
        f"init_lora_weights={init} on a base in {subject.bits:g} bits quantises the changed weight "
        "anew: the start is not the model that was loaded",
        {"init_lora_weights": init, "bits": subject.bits},
    )


def _fp4(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if not _four_bit(subject) or _quantisation(subject, "scheme") != "fp4":
        return None
    return Verdict(
        Severity.WARNING,
        "the base is quantised to fp4, bitsandbytes' default; nf4 is made for weights, at the "
        "same size",
        {"scheme": "fp4"},
    )


def _no_adapter(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.bits is None or not subject.trains_base:
        return None
    kind = text(subject.config.extras, "finetuning")
    return Verdict(
        Severity.ERROR,
        f"fine-tuning is {kind} and the base is in {subject.bits:g} bits: the Trainer refuses to "
        "train a quantised model without an adapter",
        {"bits": subject.bits, "finetuning": kind},
    )


def _not_quantised(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if text(subject.config.extras, "finetuning") != "qlora" or subject.bits is not None:
        return None
    return Verdict(
        Severity.WARNING,
        "QLoRA is asked for, and nothing says that the base is quantised: it would be loaded in "
        "full, or the tool stops",
        {"finetuning": "qlora"},
    )


_QLORA = "QLoRA (arXiv 2305.14314)"

RULES = (
    Rule(
        code="GR701",
        name="compute-dtype",
        summary="A 4-bit base that computes in fp16 or float32.",
        severity=Severity.INFO,
        action="prefer_bf16",
        scope="extras.quantization",
        rationale="bitsandbytes computes in float32 unless told otherwise; in fp16 a 4-bit run "
        "went from loss 31 to 0.",
        source="huggingface/trl#618; transformers' BitsAndBytesConfig; that bf16 cures it is "
        "inferred",
        confidence=0.4,
        refuted_by="The run's record shows no non-finite gradient.",
        judge=_compute_dtype,
        speaks="extras: {quantization: {bits: 4, compute_dtype: float16}}",
        silent="extras: {quantization: {bits: 4, compute_dtype: bfloat16}}",
    ),
    Rule(
        code="GR702",
        name="merging-into-four-bits",
        summary="An adapter that is trained on a 4-bit base.",
        severity=Severity.INFO,
        action="review_merging",
        scope="extras.quantization",
        rationale="B·A was learnt beside rounded weights; adding it rounds once more.",
        source="huggingface/peft#2321 and #2105; PEFT warns when it merges",
        confidence=0.8,
        refuted_by="The merged model's eval loss equals that of base and adapter.",
        judge=_merging,
        speaks="{lora: {r: 8}, extras: {quantization: {bits: 4}}}",
        silent="{lora: {r: 8}, extras: {quantization: {bits: 8}}}",
        lora_only=True,
    ),
    Rule(
        code="GR703",
        name="four-bits-attention-only",
        summary="A 4-bit base with adapted attention alone.",
        severity=Severity.INFO,
        action="review_target_modules",
        scope="lora.target_modules",
        rationale="What quantisation lost must be learnt back in every layer.",
        source=_QLORA,
        confidence=0.6,
        refuted_by='A run with target_modules="all-linear": its eval loss is no better.',
        judge=_all_linear,
        speaks="{lora: {target_modules: [q_proj, v_proj]}, extras: {quantization: {bits: 4}}}",
        silent="{lora: {target_modules: [q_proj, up_proj]}, extras: {quantization: {bits: 4}}}",
        lora_only=True,
    ),
    Rule(
        code="GR704",
        name="decomposed-quantised-weight",
        summary="PiSSA or CorDA on a quantised base.",
        severity=Severity.ERROR,
        action="initialise_on_full_precision",
        scope="lora.init_lora_weights",
        rationale="The initialisation needs the weight itself.",
        source="The PEFT package's LoraLayer.pissa_init and corda_init, 0.21",
        confidence=0.9,
        refuted_by="get_peft_model returns without a TypeError.",
        judge=_init,
        speaks="{lora: {extras: {init_lora_weights: pissa}}, extras: {quantization: {bits: 4}}}",
        silent="{lora: {extras: {init_lora_weights: pissa}}}",
        lora_only=True,
    ),
    Rule(
        code="GR705",
        name="loftq-on-quantised-base",
        summary="LoftQ on a base that is quantised already.",
        severity=Severity.WARNING,
        action="initialise_on_full_precision",
        scope="lora.init_lora_weights",
        rationale="LoftQ chooses quantised weights and factors together.",
        source="The PEFT package's LoraConfig, 0.21: no quantised model with LoftQ",
        confidence=0.9,
        refuted_by="A run that started from this model: its first eval loss is that of the 16-bit "
        "model.",
        judge=_loftq,
        speaks="{lora: {extras: {init_lora_weights: loftq}}, extras: {quantization: {bits: 4}}}",
        silent="{lora: {extras: {init_lora_weights: loftq}}}",
        lora_only=True,
    ),
    Rule(
        code="GR706",
        name="fp4",
        summary="A base in fp4 where nf4 is to be had.",
        severity=Severity.WARNING,
        action="set_nf4",
        scope="extras.quantization",
        rationale="nf4's levels follow the distribution of weights.",
        source=f"{_QLORA}; TRL's PEFT guide recommends nf4; fp4 is the default of transformers' "
        "BitsAndBytesConfig",
        confidence=0.7,
        refuted_by="A run on nf4, same seed: its eval loss is no better.",
        judge=_fp4,
        speaks="extras: {quantization: {bits: 4, scheme: fp4}}",
        silent="extras: {quantization: {bits: 4, scheme: nf4}}",
    ),
    Rule(
        code="GR707",
        name="quantised-full-fine-tuning",
        summary="Full fine-tuning of a quantised base.",
        severity=Severity.ERROR,
        action="review_finetuning",
        scope="extras.finetuning",
        rationale="Quantised weights have no gradient of use.",
        source="The transformers package's Trainer, 5.23: no fine-tuning on purely quantised "
        "models",
        confidence=0.9,
        refuted_by="The Trainer is made without a ValueError.",
        judge=_no_adapter,
        speaks="extras: {finetuning: full, quantization: {bits: 4}}",
        silent="extras: {finetuning: qlora, quantization: {bits: 4}}",
    ),
    Rule(
        code="GR708",
        name="base-changed-under-quantisation",
        summary="An initialisation that changes the base weights, on a quantised base.",
        severity=Severity.INFO,
        action="initialise_on_full_precision",
        scope="lora.init_lora_weights",
        rationale="The residual is rounded again.",
        source="The PEFT package's LoraLayer.olora_init, 0.21; that the start suffers is inferred",
        confidence=0.4,
        refuted_by="The eval loss before the first step is that of the model that was loaded.",
        judge=_moved_base,
        speaks="{lora: {extras: {init_lora_weights: olora}}, extras: {quantization: {bits: 4}}}",
        silent="{lora: {extras: {init_lora_weights: olora}}}",
        lora_only=True,
    ),
    Rule(
        code="GR709",
        name="qlora-without-quantisation",
        summary="QLoRA without a quantised base.",
        severity=Severity.WARNING,
        action="review_finetuning",
        scope="extras.quantization",
        rationale="QLoRA is LoRA on a quantised base; one of the two settings is left over.",
        source=f"{_QLORA} for what the word means; Axolotl's validation, which requires "
        "load_in_4bit for qlora",
        confidence=0.8,
        refuted_by="The loaded model's layers are quantised.",
        judge=_not_quantised,
        speaks="extras: {finetuning: qlora}",
        silent="extras: {finetuning: qlora, quantization: {bits: 4}}",
        lora_only=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
