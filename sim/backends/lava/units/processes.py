"""Lava Processes of a sigma-delta network: ports and variables. Their behaviour is in `models`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from neuro.base.arrays import Integers


class Sender(AbstractProcess):
    """Sends one row of `data` at the presentation step of each image and zeros otherwise.

    data of shape [B, N], integers; period: steps per image.
    """

    def __init__(self, *, data: Integers, period: int, name: str) -> None:
        super().__init__(data=data.astype(np.int32), period=period, name=name)
        self.s_out = OutPort(shape=(data.shape[1],))


class SpikeGenerator(AbstractProcess):
    """Sends Bernoulli spikes at steps 1..window of each image; see `neuro.spec.neurons.Generator`.

    chances of shape [B, N], integers; keys of shape [B], of the images; period: steps per image.
    """

    def __init__(self, *, chances: Integers, keys: Integers, window: int, period: int, name: str) -> None:
        super().__init__(chances=chances.astype(np.int32), keys=keys, window=window, period=period, name=name)
        self.s_out = OutPort(shape=(chances.shape[1],))


class SigmaDeltaUnit(AbstractProcess):
    """A sigma-delta population; equations and symbols in `neuro.spec.neurons.SigmaDelta`.

    Variables, all int32 of shape [N]: a (accumulated input), u (state), s_hat (what the receivers know).
    a_in:     weighted spikes, summed over the incoming Dense processes.
    guide_in: at the presentation step, the target of each neuron, or the force on it, and, last, the sign of the first
              nudge; shape [N + 1]. Left unconnected where no nudge reaches the population.
    s_out:    graded spikes q.    u_out: the state, for recording.
    nudge:    sign of the output force at each step 0..period-1, all 0 if there is none.
    parity:   of the steps at which it updates, -1 for all of them.
    hold:     step at whose end the output force is taken and then held; 0 for a force that follows the state; -1 where
              the guide is the force itself.
    """

    def __init__(
        self,
        *,
        size: int,
        lower: int,
        upper: int,
        step_multiplier: int,
        step_shift: int,
        send_shift: int,
        threshold: int,
        hard: bool,
        nudge: Sequence[int],
        nudge_multiplier: int,
        nudge_shift: int,
        parity: int,
        hold: int,
        name: str,
    ) -> None:
        super().__init__(nudge=tuple(nudge), parity=parity, hold=hold, name=name)
        self.a_in = InPort(shape=(size,))
        self.guide_in = InPort(shape=(size + 1,))
        self.s_out = OutPort(shape=(size,))
        self.u_out = OutPort(shape=(size,))
        self.a = Var(shape=(size,), init=0)
        self.u = Var(shape=(size,), init=0)
        self.s_hat = Var(shape=(size,), init=0)
        self.lower = Var(shape=(1,), init=lower)
        self.upper = Var(shape=(1,), init=upper)
        self.step_multiplier = Var(shape=(1,), init=step_multiplier)
        self.step_shift = Var(shape=(1,), init=step_shift)
        self.send_shift = Var(shape=(1,), init=send_shift)
        self.threshold = Var(shape=(1,), init=threshold)
        self.hard = Var(shape=(1,), init=int(hard))
        self.nudge_multiplier = Var(shape=(1,), init=nudge_multiplier)
        self.nudge_shift = Var(shape=(1,), init=nudge_shift)


class Recorder(AbstractProcess):
    """Keeps spikes of every step and states at chosen steps; writes them to `path` at the last step.

    (Lava moves variables one element per message, a thousand times slower than a file.)
    s_in: graded spikes.    u_in: states; left unconnected for sources.
    keep: steps within an image at which the state is kept.    progress: file in which to count finished images, or "".
    """

    def __init__(
        self, *, size: int, period: int, n_images: int, keep: Sequence[int], path: str, progress: str, name: str
    ) -> None:
        super().__init__(
            size=size, period=period, n_images=n_images, keep=tuple(keep), path=path, progress=progress, name=name
        )
        self.s_in = InPort(shape=(size,))
        self.u_in = InPort(shape=(size,))
