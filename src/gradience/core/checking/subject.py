"""A configuration as the rules see it: effective values beside the written ones."""

import math
from collections.abc import Mapping
from functools import cached_property

import attrs

from gradience.core.adapter.module_names import ModuleType, module_type
from gradience.core.adapter.peft_methods import LORA
from gradience.core.adapter.scaling import lora_scaling
from gradience.core.architecture.fit import ModelFit
from gradience.core.checking.pattern_keys import never_matches
from gradience.core.checking.policy import PREFERENCE, REINFORCEMENT
from gradience.core.checking.readings import flag, is_plain, names, number, numbers, table, text
from gradience.core.config.snapshot import ConfigSnapshot, TaskProfile
from gradience.core.config.vocabulary import ALL_LINEAR
from gradience.core.numbers import real_number

WITHOUT_ADAPTER = frozenset({"full", "freeze"})
"""Values of ``finetuning`` that train the base weights themselves."""

CLASSIFICATION_TASKS = frozenset({"seq_cls", "token_cls"})
"""PEFT's task types that put a classifier on the model."""

CLASSIFIER_HEADS = frozenset({"classifier", "score"})
"""The names that PEFT and transformers give to such a head."""

GLUE = frozenset(
    ["glue", "cola", "sst2", "sst-2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"]
)
"""The GLUE tasks, on which LoRA (arXiv 2106.09685) adapts attention alone."""


@attrs.frozen(kw_only=True, slots=False)
class Subject:
    """A configuration as the rules see it; nothing in it raises, whatever the settings hold."""

    config: ConfigSnapshot
    model: ModelFit | None = None
    """What the configuration becomes on its model; None where that is not known."""

    @cached_property
    def scaling(self) -> float | None:
        """The s of ΔW = s·B·A for the default rank, rsLoRA respected; None where unknown."""
        rank, alpha = self.rank, self.alpha
        if rank is None or alpha is None:
            return None
        return lora_scaling(alpha, int(rank), use_rslora=self.uses_rslora)

    @cached_property
    def rank(self) -> float | None:
        """The default rank, where it is one."""
        rank = real_number(self.config.lora.r)
        return rank if rank is not None and 1 <= rank < math.inf else None

    @cached_property
    def alpha(self) -> float | None:
        """``lora_alpha``, or what ``alpha_over_r`` makes it."""
        lora = self.config.lora
        if lora.alpha is not None:
            return real_number(lora.alpha)
        ratio = real_number(lora.alpha_over_r)
        return None if ratio is None or self.rank is None else ratio * self.rank

    @cached_property
    def rank_pattern(self) -> Mapping[str, float]:
        """Ranks by key: those that are one, and whose key may match."""
        return self._pattern("rank_pattern")

    @cached_property
    def alpha_pattern(self) -> Mapping[str, float]:
        """Alphas by key: those that are positive, and whose key may match."""
        return self._pattern("alpha_pattern")

    def _pattern(self, name: str) -> Mapping[str, float]:
        found = numbers(self.config.lora.extras, name)
        return {key: item for key, item in found.items() if not never_matches(key, self.targets)}

    @cached_property
    def module_ranks(self) -> tuple[float, ...]:
        """The ranks that modules get: from the model where it is known, else from the patterns."""
        if self.model is not None and self.model.modules:
            return tuple(float(module.r) for module in self.model.modules)
        default = () if self.rank is None else (self.rank,)
        return (*default, *self.rank_pattern.values())

    @cached_property
    def max_rank(self) -> float | None:
        """The largest of the modules' ranks."""
        return max(self.module_ranks, default=None)

    @cached_property
    def module_ratios(self) -> tuple[tuple[float, float], ...]:
        """Rank and α of the modules, without repetitions: from the model, else from patterns."""
        if self.model is not None and self.model.modules:
            return tuple(dict.fromkeys((float(m.r), m.alpha) for m in self.model.modules))
        if self.rank is None or self.alpha is None:
            return ()
        keys = dict.fromkeys([*self.rank_pattern, *self.alpha_pattern])
        pairs = [
            (self.rank_pattern.get(key, self.rank), self.alpha_pattern.get(key, self.alpha))
            for key in keys
        ]
        return tuple(dict.fromkeys([(self.rank, self.alpha), *pairs]))

    @cached_property
    def scalings(self) -> tuple[float, ...]:
        """The s of each module, without repetitions."""
        rslora = self.uses_rslora
        return tuple(
            alpha / math.sqrt(rank) if rslora else alpha / rank
            for rank, alpha in self.module_ratios
            if rank > 0
        )

    @property
    def targets(self) -> tuple[str, ...] | None:
        """Target modules as names; None where they are unknown or an expression."""
        targets = self.config.lora.target_modules
        return targets if isinstance(targets, tuple) else None

    @property
    def whole_name(self) -> str | None:
        """A single target written as one string: PEFT matches it against whole names."""
        targets = self.config.lora.target_modules
        if not isinstance(targets, str) or targets == ALL_LINEAR:
            return None
        return targets if is_plain(targets) else None

    @cached_property
    def adapted_names(self) -> tuple[str, ...]:
        """What is adapted: the model's modules where they are known, else the targets' names."""
        if self.model is not None and self.model.modules:
            return tuple(module.name for module in self.model.modules)
        return self.targets or tuple(filter(None, [self.whole_name]))

    @cached_property
    def adapted_types(self) -> frozenset[ModuleType]:
        """Attention, MLP or other: what the adapted modules are."""
        return frozenset(module_type(name) for name in self.adapted_names)

    @property
    def attention_only(self) -> bool:
        """Whether every adapted module is an attention projection."""
        return self.adapted_types == {ModuleType.ATTENTION}

    @property
    def other_adapter(self) -> str | None:
        """The adapter's ``peft_type`` where that is not LoRA: LoRA's rules do not hold for it."""
        kind = self.config.extras.get("peft_type")
        return kind if isinstance(kind, str) and kind.upper() != LORA else None

    @property
    def trains_base(self) -> bool:
        """Whether the base weights are trained and there is no adapter.

        An adapter that is given beats a tool's default of full fine-tuning.
        """
        if text(self.config.extras, "finetuning") not in WITHOUT_ADAPTER:
            return False
        return self.default_of("extras.finetuning") is None or not self.adapter_given

    @property
    def adapter_given(self) -> bool:
        """Whether a rank or targets are given, and not a tool's defaults."""
        lora = self.config.lora
        return any(
            value is not None and self.default_of(f"lora.{name}") is None
            for name, value in (("r", lora.r), ("target_modules", lora.target_modules))
        )

    @property
    def has_adapter(self) -> bool:
        """Whether anything at all is known of a LoRA adapter."""
        lora = self.config.lora
        known = lora.r is not None or lora.target_modules is not None
        return known and not self.trains_base and self.other_adapter is None

    @property
    def uses_rslora(self) -> bool:
        """Whether the rank-stabilised scaling is on."""
        return flag(self.config.lora.extras, "use_rslora")

    @property
    def init(self) -> object:
        """``init_lora_weights``; a name in lower case."""
        extras = self.config.lora.extras
        return text(extras, "init_lora_weights") or extras.get("init_lora_weights")

    @property
    def objective(self) -> str | None:
        """What is trained for, such as ``sft`` or ``dpo``."""
        return text(self.config.training.extras, "objective")

    @property
    def sampled_or_preferred(self) -> bool:
        """Whether the objective is of preferences or reinforcement."""
        return self.objective in PREFERENCE | REINFORCEMENT

    @property
    def tool(self) -> str | None:
        """Whose configuration it is."""
        return text(self.config.extras, "tool")

    def default_of(self, name: str) -> str | None:
        """The tool whose default a value is, by its dotted name; None where it was given."""
        owner = table(self.config.extras, "defaults").get(name)
        return owner if isinstance(owner, str) else None

    @property
    def easy_task(self) -> bool:
        """Whether the task is an easy classification, by its profile or by its own marks.

        A profile that is given decides. Otherwise a classifier's task type, objective or head
        tells, or a data set of GLUE.
        """
        profile = self.config.task_profile
        if profile is not TaskProfile.UNKNOWN:
            return profile is TaskProfile.EASY_CLASSIFICATION
        lora = self.config.lora.extras
        dataset = (self.config.dataset_name or "").lower().replace("/", " ").split()
        return (
            self.objective == "classification"
            or text(lora, "task_type") in CLASSIFICATION_TASKS
            or bool(CLASSIFIER_HEADS & set(names(lora, "modules_to_save")))
            or bool(GLUE & set(dataset))
        )

    @property
    def is_probe(self) -> bool:
        """Whether the run measures which rank is needed, and has a high one on purpose."""
        return flag(self.config.extras, "probe")

    @property
    def bits(self) -> float | None:
        """Bits of the quantised base; None where it is not, or not known to be, quantised."""
        return number(table(self.config.extras, "quantization"), "bits")

    @property
    def devices(self) -> float:
        """Processes that train; 1 where it is not said."""
        world = number(self.config.training.extras, "world_size")
        return world if world is not None and world >= 1 else 1.0

    @cached_property
    def effective_batch(self) -> float | None:
        """Examples per optimizer step: per device x accumulation x processes.

        What is not said of the last two counts as 1; None without a batch size.
        """
        training = self.config.training
        batch = real_number(training.batch_size)
        accumulation = real_number(training.gradient_accumulation)
        if batch is None or not batch >= 1:
            return None
        if accumulation is None or not accumulation >= 1:
            accumulation = 1.0
        return batch * accumulation * self.devices

    @cached_property
    def most_tokens(self) -> float | None:
        """An upper bound of the tokens that are seen; None where steps or length are unknown."""
        steps = real_number(self.config.training.max_steps)
        length = number(self.config.training.extras, "max_length")
        batch = self.effective_batch
        if steps is None or length is None or batch is None:
            return None
        return steps * batch * length


def subject_of(config: ConfigSnapshot, model: ModelFit | None = None) -> Subject:
    """Works out the effective values of a configuration.

    Args:
        config: The configuration.
        model: What it becomes on its model, where that is known.

    Returns:
        The subject of the rules.
    """
    return Subject(config=config, model=model)
