"""Lava ProcessModels on CPU: the behaviour of the Processes in `processes`, in the chip's fixed-point integers."""

from __future__ import annotations

import os

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.process import ProcessParameters
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from neuro.base.arrays import Int32
from neuro.base.fixed_point import round_shift, shrink
from neuro.spec.neurons import generated
from sim.backends.lava.units.processes import Recorder, Sender, SigmaDeltaUnit, SpikeGenerator


@implements(proc=Sender, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySenderModel(PyLoihiProcessModel):
    """Host-side source of images."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: ProcessParameters) -> None:
        super().__init__(proc_params)
        self.data = proc_params["data"]
        self.period = proc_params["period"]
        self.silence = np.zeros_like(self.data[0])

    def run_spk(self) -> None:
        """Send one row per image."""
        image, step = divmod(self.time_step - 1, self.period)
        self.s_out.send(self.data[image] if step == 0 else self.silence)


@implements(proc=SpikeGenerator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySpikeGeneratorModel(PyLoihiProcessModel):
    """The generator neurons of an input."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: ProcessParameters) -> None:
        super().__init__(proc_params)
        self.chances, self.keys = proc_params["chances"], proc_params["keys"]
        self.window, self.period = proc_params["window"], proc_params["period"]
        self.units = np.arange(self.chances.shape[1], dtype=np.uint32)

    def run_spk(self) -> None:
        """Draw the spikes of one step."""
        image, step = divmod(self.time_step - 1, self.period)
        spikes = np.zeros(len(self.units), dtype=np.int32)
        if 1 <= step <= self.window:
            spikes[:] = generated(self.chances[image], self.keys[image : image + 1], self.units, step)
        self.s_out.send(spikes)


@implements(proc=SigmaDeltaUnit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySigmaDeltaUnitModel(PyLoihiProcessModel):
    """The sigma-delta neuron; resets itself at the presentation step of every image."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    guide_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    u_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    a: Int32 = LavaPyType(np.ndarray, np.int32)
    u: Int32 = LavaPyType(np.ndarray, np.int32)
    s_hat: Int32 = LavaPyType(np.ndarray, np.int32)
    lower: Int32 = LavaPyType(np.ndarray, np.int32)
    upper: Int32 = LavaPyType(np.ndarray, np.int32)
    step_multiplier: Int32 = LavaPyType(np.ndarray, np.int32)
    step_shift: Int32 = LavaPyType(np.ndarray, np.int32)
    send_shift: Int32 = LavaPyType(np.ndarray, np.int32)
    threshold: Int32 = LavaPyType(np.ndarray, np.int32)
    hard: Int32 = LavaPyType(np.ndarray, np.int32)
    nudge_multiplier: Int32 = LavaPyType(np.ndarray, np.int32)
    nudge_shift: Int32 = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: ProcessParameters) -> None:
        super().__init__(proc_params)
        self.nudge, self.parity, self.hold = proc_params["nudge"], proc_params["parity"], proc_params["hold"]

    def run_spk(self) -> None:
        """One step: receive, update, send."""
        arriving, guide = self.a_in.recv(), self.guide_in.recv()
        step = (self.time_step - 1) % len(self.nudge)
        if step == 0:  # what arrives now belongs to the image before
            self.target, self.sign = guide[:-1], guide[-1]
            self.held = self.target
            self.a[:], self.u[:], self.s_hat[:] = 0, 0, 0
            spikes = np.zeros_like(self.s_hat)
        else:
            self.a += arriving
            mine = self.parity < 0 or step % 2 == self.parity
            spikes = self._relax(self.nudge[step] * self.sign) if mine else np.zeros_like(self.s_hat)
            if step == self.hold:
                self.held = self._pull()
        self.s_out.send(spikes)
        self.u_out.send(self.u)

    def _pull(self) -> Int32:
        pull: Int32 = (self.target - self.u) * self.nudge_multiplier >> self.nudge_shift
        return pull

    def _relax(self, force: int) -> Int32:
        total = self.a
        if force:
            total = total + force * (self.held if self.hold else self._pull())
        moved = self.u + ((total - self.u) * self.step_multiplier >> self.step_shift)
        self.u = np.clip(moved, self.lower, self.upper).astype(np.int32)
        spikes: Int32 = round_shift(shrink(self.u, self.threshold, self.hard), self.send_shift) - self.s_hat
        self.s_hat += spikes
        return spikes


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRecorderModel(PyLoihiProcessModel):
    """Host-side recorder."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    u_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: ProcessParameters) -> None:
        super().__init__(proc_params)
        self.period, self.n_images = proc_params["period"], proc_params["n_images"]
        self.keep = {step: column for column, step in enumerate(proc_params["keep"])}
        self.path, self.progress = proc_params["path"], proc_params["progress"]
        size = proc_params["size"]
        self.spikes = np.zeros((self.n_images, self.period, size), dtype=np.int32)
        self.states = np.zeros((self.n_images, len(self.keep), size), dtype=np.int32)

    def run_spk(self) -> None:
        """Keep what arrives; write the file after the last step."""
        image, step = divmod(self.time_step - 1, self.period)
        spikes, state = self.s_in.recv(), self.u_in.recv()
        if image >= self.n_images:
            return
        self.spikes[image, step] = spikes
        if step in self.keep:
            self.states[image, self.keep[step]] = state
        if step == self.period - 1:
            self._image_done(image)

    def _image_done(self, image: int) -> None:
        if self.progress:
            with open(self.progress, "w", encoding="ascii") as file:
                file.write(str(image + 1))
        if image == self.n_images - 1:
            with open(self.path + ".tmp", "wb") as file:
                np.savez(file, spikes=self.spikes, states=self.states)
            os.replace(self.path + ".tmp", self.path)
