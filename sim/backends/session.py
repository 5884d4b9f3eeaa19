"""A network opened on a backend. The base classes check and number the images; a session writes what it computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from neuro.base.arrays import Int8, Int64, Integers
from neuro.base.errors import UserError
from neuro.spec.network import Network
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.learning_engine import EngineRule
from sim.backends.checks import check_currents, check_payloads
from sim.backends.presentation import Lesson, Presentation, nudge_signs
from sim.backends.record import LearningOutcome, Record

Rates = Mapping[str, Rate | EngineRule]  # by projection: of sigma-delta networks, of stock networks
N = TypeVar("N", bound=Network, covariant=True)
Self = TypeVar("Self", bound="Session[Network]")


class Session(ABC, Generic[N]):
    """A network opened on a backend. Use as a context manager; `close` releases processes and memory.

    backend: the name of the backend.
    refusal: why sessions of this kind do not learn, and what does; "" if they do.
    takes_currents: whether units take currents of their own in nudged phases.
    remark: what a user is told, in one line, of how it computes here; "" if there is nothing to tell.
    """

    backend: ClassVar[str]
    refusal: ClassVar[str] = ""
    takes_currents: ClassVar[bool] = False
    remark: str = ""

    def __init__(self, spec: N) -> None:
        self._spec = spec

    @property
    def spec(self) -> N:
        """The network; of a stock network that learned, with the weights of now."""
        return self._spec

    def run(
        self,
        payloads: Integers,
        targets: Integers | None = None,
        *,
        seed: int = 0,
        first_image: int = 0,
        keep_states: bool = False,
        keep_spikes: bool = False,
        currents: Mapping[str, Integers] | None = None,
    ) -> Record:
        """Run images with the weights as they are.

        Args:    payloads of shape [B, N] as the spec's encoder gives them; targets of shape [B, K] in state units, or
                 None to run the free phase only; seed and first_image number the images for the sign of the nudge;
                 currents: see `Presentation`.
        Returns: a Record of `phases` = all phases if targets are given, else the free phase alone. Stock networks run
                 all slots of a sample with the teacher, not learning.
        Raises:  UserError if payloads or targets have other shapes or ranges than the network declares.
        """
        shown = Presentation(payloads, targets, seed, first_image, keep_states, keep_spikes, currents)
        self._admit(shown)
        return self._present(shown)

    def learn(
        self, payloads: Integers, targets: Integers, rates: Rates, *, seed: int, first_image: int,
        currents: Mapping[str, Integers] | None = None,
    ) -> LearningOutcome:  # fmt: skip
        """Train on images in the order given; `rates` by projection; `first_image` counts presentations so far.

        Raises: UserError as `run` does, if this backend does not learn, or if rates do not suit the network.
        """
        if self.refusal:
            raise self._refused()
        lesson = Lesson(payloads, targets, seed, first_image, keep_states=False, keep_spikes=False, currents=currents)
        self._admit(lesson)
        return self._learn(lesson, rates)

    def _admit(self, shown: Presentation) -> None:
        if shown.currents and not self.takes_currents:
            raise UserError(f"backend {self.backend}: takes no currents of hidden units; use events, torch or lava")
        self._check(shown)

    @abstractmethod
    def _check(self, shown: Presentation) -> None:
        """Raise UserError unless payloads and targets are what the network takes."""

    @abstractmethod
    def _present(self, shown: Presentation) -> Record:
        """Run checked images."""

    def _learn(self, lesson: Lesson, rates: Rates) -> LearningOutcome:
        """Learn checked images."""
        raise self._refused()

    def _refused(self) -> UserError:
        return UserError(f"backend {self.backend}: {self.refusal}")

    @abstractmethod
    def weights(self) -> Mapping[str, Integers]:
        """A copy of the weights that synapses transmit, by projection (those that are no transposes)."""

    def full_weights(self) -> Mapping[str, Integers]:
        """A copy of the plastic weights with their shadow bits, by projection: what a checkpoint keeps."""
        raise self._refused()

    def restore(self, full: Mapping[str, Integers]) -> None:
        """Set the plastic weights to what `full_weights` returned."""
        raise self._refused()

    def close(self) -> None:
        """Release everything the session holds: here nothing."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


AnySession = Session[Network]


class SigmaDeltaSession(Session[NetworkSpec]):
    """A sigma-delta network; its weights are those of the network, unless a session learns."""

    def _check(self, shown: Presentation) -> None:
        check_payloads(self.spec, shown.payloads, shown.targets)
        check_currents(self.spec, len(shown), shown.targets, shown.currents or {})

    def _signs(self, shown: Presentation) -> Int64:
        """The sign of the first nudge of each image, of shape [B]."""
        return nudge_signs(self.spec, shown.seed, shown.first_image, len(shown))

    def weights(self) -> dict[str, Int8]:
        """A copy of the int8 weights by projection (those that are no transposes)."""
        return {p.name: p.weights.copy() for p in self.spec.projections if p.weights is not None}
