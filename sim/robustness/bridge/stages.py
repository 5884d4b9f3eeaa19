"""What an attack run consists of: the models that are attacked, the attacks on each, and the threats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from neuro.base.errors import UserError
from neuro.spec.network import Network
from sim.families import of_kind
from sim.robustness.attacks.gradient import ProjectedGradient, fast_gradient
from sim.robustness.attacks.search import Attack, Model
from sim.robustness.attacks.suites import SUITES, THOROUGH, build_attacks, members_of
from sim.robustness.attacks.threats import Threat
from sim.robustness.judging.comparison import with_grey
from sim.twins.base import Twin
from sim.twins.fixed import GAUSSIAN, MEAN
from sim.twins.gradients import implicit_gradient, local_gradient
from sim.twins.make import make_twin
from sim.twins.sigma_delta import SigmaDeltaTwin
from sim.twins.surrogates import Surrogate, band_sweep, surrogate_sweep

LOCAL_NUDGE = 1.0  # constant output force of the local attack (SCIENCE: 1 to 2)
LONG = 64  # steps of an inference
SWEPT = "pgd-20"
SCOUTED = "pgd-40,apgd-dlr"
STEADY, ADAPTIVE = "sa-pgd-100", ("assg", "pdsg")  # attacks on twins whose surrogates follow the potentials
COARSE = 3  # bits of a payload: rounding hides most of a change


@dataclass(frozen=True)
class Stage:
    """Attacks that are all run on all of some models under some threats."""

    models: Mapping[str, Model]
    attacks: Mapping[str, Attack]
    threats: tuple[Threat, ...]


def attack_stages(
    spec: Network, names: str, threats: tuple[Threat, ...], sources: Mapping[str, Model], device: str = "cpu"
) -> list[Stage]:
    """The stages that `names` (see `suites.build_attacks`) mean for a network.

    The suites attack two twins, the usual one and one that lets a gradient leak through saturated neurons (LIF: one
    whose spikes have the derivative of an arctangent); of a network with sparsity thresholds a third one, which sees
    the neurons below them. SCOUTED tries the twins that see the neurons near their box and, where payloads are coarse,
    the float relaxation. The suites follow the implicit gradient of sigma-delta networks (of a sparse coder: the
    derivative of the LASSO solution), and the local one of those with an energy; those that are THOROUGH add a sweep of
    surrogate gradients, ADAPTIVE ones attacked by STEADY, the float relaxation, and a twin unrolled for twice the steps
    of an inference. All end with an eps at which every image can be grey: there an honest attack reaches chance.

    A network that draws spikes is attacked through drawn ones, through Gaussian numbers in their place, and without.

    Where an inference takes more than LONG steps (behind a sparse coder), both twins take the gradient of the fixed
    point, at a thirtieth of the cost, and the unrolled one is attacked by SWEPT, to see that it finds nothing more.
    """
    attacks = build_attacks(names, sources)
    exact = make_twin(spec, device=device)
    usual = exact.surrogate.name
    twins = main_twins(spec, exact, device)
    own = {SWEPT: build_attacks(SWEPT)[SWEPT]} if usual not in twins else _own_gradients(spec, _steady(exact, device))
    stages = [Stage(twins, attacks, threats), Stage({usual: exact}, own, threats)]
    if names in SUITES:
        stages.append(Stage(scouts(spec, exact, device), build_attacks(SCOUTED), threats))
    if isinstance(exact, SigmaDeltaTwin) and spec.stochastic:
        stages.append(Stage(without_draws(spec, device), attacks, threats))
    if names in THOROUGH:
        adaptive = {name: make_twin(spec, Surrogate(name), device=device) for name in ADAPTIVE}
        stages.append(Stage(adaptive, build_attacks(STEADY), threats))
        stages.append(Stage(_sweep(spec, exact, device), build_attacks(SWEPT), threats))
    grey = tuple(with_grey(threats, exact.spec.n_inputs)[len(threats) :])
    if grey:
        large = {"fgsm": fast_gradient(), SWEPT: build_attacks(SWEPT)[SWEPT]}
        stages.append(Stage(twins, large, grey))
    return [stage for stage in stages if stage.attacks and stage.models]


def main_twins(spec: Network, exact: Twin, device: str = "cpu") -> dict[str, Model]:
    """Two or three twins by name, with different gradients; the first one is judged. exact: `make_twin(spec)`."""
    others = dict([exact.second])
    if exact.has_thresholds:
        others["below thresholds"] = exact.surrogate.below_thresholds
    at_rest = of_kind("fixed-point twin", spec)
    if at_rest is not None and exact.inference_steps > LONG and not spec.stochastic:
        return {"fixed point": at_rest(spec, device=device), **{k: at_rest(spec, s, device) for k, s in others.items()}}
    return {exact.surrogate.name: exact, **{k: make_twin(spec, s, device=device) for k, s in others.items()}}


def without_draws(spec: Network, device: str = "cpu") -> dict[str, Model]:
    """Twins by name of a network that draws spikes, whose gradients see no draw: all are scored on drawn spikes."""
    twins: dict[str, Model] = {}
    for name, noise in (("noise-free", MEAN), ("gaussian noise", GAUSSIAN)):
        twins[name] = _with_noise(spec, noise, device)
    return twins


def _steady(exact: Twin, device: str) -> Twin:
    """The twin along whose own gradients attacks go: of a network that draws spikes the one without noise."""
    return _with_noise(exact.spec, MEAN, device) if exact.spec.stochastic else exact


def _with_noise(spec: Network, noise: str, device: str) -> Twin:
    twin = make_twin(spec, device=device)
    assert isinstance(twin, SigmaDeltaTwin)  # the only family that draws
    twin.noise = noise
    return twin


def scouts(spec: Network, exact: Twin, device: str = "cpu") -> dict[str, Model]:
    """Twins by name that look where the others are blind; none of a network that takes LONG."""
    if exact.inference_steps > LONG:
        return {}
    twins: dict[str, Model] = {"near the box": make_twin(spec, exact.surrogate.near_the_box, device=device)}
    if exact.payload_bits <= COARSE:
        twins["relaxed"] = make_twin(spec, exact.second[1], "relaxed", device=device)
    return twins


def _own_gradients(spec: Network, twin: Twin) -> dict[str, Attack]:
    """The attacks along gradients at the fixed point; the local one is that of an energy."""
    if not twin.comes_to_rest:
        return {}

    def local(images: Tensor, labels: Tensor) -> Tensor:
        return local_gradient(twin, images, labels, LOCAL_NUDGE)

    def at_rest(images: Tensor, labels: Tensor) -> Tensor:
        return implicit_gradient(twin, images, labels)

    implicit = ProjectedGradient(20, gradient_fn=at_rest, family="implicit")
    if not spec.is_symmetric:
        return {"implicit-20": implicit}
    return {"local-40": ProjectedGradient(40, gradient_fn=local, family="local"), "implicit-20": implicit}


def _sweep(spec: Network, exact: Twin, device: str) -> dict[str, Model]:
    twins: dict[str, Model] = {}
    for surrogate in surrogate_sweep():
        if surrogate != exact.surrogate:
            name = surrogate.name + (f" {surrogate.width:g}" if surrogate.width != 1.0 else "")
            twins[name] = make_twin(spec, surrogate, device=device)
    for name, surrogate in band_sweep(exact.surrogate).items():
        if exact.has_thresholds or not surrogate.threshold_slope:
            twins[name] = make_twin(spec, surrogate, device=device)
    twins["relaxed"] = make_twin(spec, forward="relaxed", device=device)
    twins["twice the steps"] = make_twin(spec, steps=2 * exact.inference_steps, device=device)
    return twins


def check_names(names: str) -> None:
    """Raise UserError if an attack a user asked for is unknown, or none was asked for."""
    members = members_of(names)
    build_attacks([name for name in members if name != "transfer"] or [SWEPT])
    if not members:
        raise UserError("attacks: none; give a suite or names separated by commas")
