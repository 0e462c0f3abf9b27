"""The endings that the Trainer has no hook for: an exception, a signal, the interpreter's exit."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, MethodType, TracebackType
from typing import Protocol, cast

from gradience.core.telemetry.events import RunStatus
from gradience.shell.telemetry.writer import status_of

LEFT = "training was left"
"""The reason where nothing tells how."""

MAX_FRAMES = 64
"""Callers that are searched for the Trainer that is being made."""


class EndingListener(Protocol):
    """Whoever wants to know that a training was left."""

    watched: int
    """Number of watched ``train`` calls that are under way."""

    def training_left(self, error: BaseException) -> None:
        """An exception left the training; must not raise."""


class TrainerLike(Protocol):
    """What is used of a Trainer."""

    @property
    def train(self) -> Callable[..., object]:
        """Trains; a method of its class."""


class WatchedTrain:
    """Stands for ``trainer.train``: calls it, and tells the listener of an exception.

    The exception goes on as it was. It can be pickled and copied with the Trainer that it is an
    attribute of.

    Args:
        trainer: The Trainer.
        listener: Is told.
        inner: What ``trainer.train`` was, where that was not simply its class's method.
    """

    def __init__(
        self,
        trainer: TrainerLike,
        listener: EndingListener,
        inner: Callable[..., object] | None = None,
    ) -> None:
        self.trainer = trainer
        self.listener = listener
        self.inner = inner

    @property
    def __wrapped__(self) -> Callable[..., object]:
        """What is called; looked up when it is, so that a class may be patched meanwhile."""
        own = cast("Callable[..., object]", type(self.trainer).train)
        return self.inner or MethodType(own, self.trainer)

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Trains."""
        self.listener.watched += 1
        try:
            return self.__wrapped__(*args, **kwargs)
        except BaseException as error:
            self.listener.training_left(error)
            raise
        finally:
            self.listener.watched -= 1


def watch_train(trainer: TrainerLike, listener: EndingListener) -> None:
    """Puts a :class:`WatchedTrain` in place of ``trainer.train``; once for each listener."""
    present = vars(trainer).get("train")
    inner = present
    while isinstance(inner, WatchedTrain):
        if inner.listener is listener:
            return
        inner = inner.inner
    vars(trainer)["train"] = WatchedTrain(trainer, listener, present)


def trainer_being_made(callback: object) -> TrainerLike | None:
    """The Trainer among the callers whose ``callback_handler`` holds ``callback``."""
    for caller in _callers():
        handler = getattr(caller, "__dict__", {}).get("callback_handler")
        held = getattr(handler, "callbacks", ())
        if any(one is callback for one in held):
            return cast("TrainerLike", caller)
    return None


def _callers() -> Iterator[object]:
    """The ``self`` of each calling method, the nearest first."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  the documented way to the callers
    for _ in range(MAX_FRAMES):
        if frame is None:
            return
        if frame.f_code.co_varnames[:1] == ("self",):
            yield frame.f_locals.get("self")
        frame = frame.f_back


class SigtermRecord:
    """Records SIGTERM while it is installed, then does what would have been done without it.

    Only the main thread may install a handler, and a process that ignores SIGTERM, or that
    handles it outside Python, is left as it is. A forked child records nothing.

    Args:
        record: Called first; must not raise.
    """

    def __init__(self, record: Callable[[], None]) -> None:
        self._record = record
        self._process = os.getpid()
        self._previous: Callable[[int, FrameType | None], object] | signal.Handlers | None = None
        self._installed = False

    def install(self) -> None:
        """Begins to watch."""
        if threading.current_thread() is not threading.main_thread():
            return
        previous = signal.getsignal(signal.SIGTERM)
        if previous is signal.SIG_DFL or callable(previous):
            self._previous = previous
            signal.signal(signal.SIGTERM, self._handle)
            self._installed = True

    def remove(self) -> None:
        """Puts the earlier handler back, unless another one stands on top of this."""
        if not self._installed or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._previous)
        self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._installed and os.getpid() == self._process:
            self._record()
        if callable(self._previous):
            self._previous(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


class LastChance:
    """Records the ending of a training that no :class:`WatchedTrain` watches.

    An exception that nothing catches is seen by ``sys.excepthook`` (chained), any other way out
    of the interpreter by ``atexit``.

    Args:
        record: Takes the status and the exception, if one is known; must not raise.
    """

    def __init__(self, record: Callable[[RunStatus, BaseException | None], None]) -> None:
        self._record = record
        self._process = os.getpid()
        self._previous = sys.excepthook
        self._installed = False

    def install(self) -> None:
        """Begins to watch."""
        self._previous = sys.excepthook
        sys.excepthook = self._except
        atexit.register(self._exit)
        self._installed = True

    def remove(self) -> None:
        """Stops watching; an excepthook that stands on top of this one is left there."""
        if not self._installed:
            return
        if sys.excepthook == self._except:
            sys.excepthook = self._previous
        atexit.unregister(self._exit)
        self._installed = False

    def _except(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        previous = self._previous
        if self._installed and os.getpid() == self._process:
            self._record(status_of(kind), error)
        previous(kind, error, traceback)

    def _exit(self) -> None:
        if os.getpid() == self._process:
            self._record(RunStatus.ERROR, None)


def reason_of(error: BaseException | None, *, allow_text: bool) -> str:
    """Why a training was left: the exception's type, with its text only where that is allowed."""
    if error is None:
        return LEFT
    name = type(error).__name__
    if not allow_text:
        return name
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  an exception of the user's, which may not even print
        return name
    return f"{name}: {text}" if text else name
