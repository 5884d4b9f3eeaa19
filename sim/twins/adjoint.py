"""The adjoint of a fixed point: how the inputs of a sigma-delta network at rest should change, for a given cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sim.twins.units import State

if TYPE_CHECKING:
    from sim.twins.sigma_delta_graph import SigmaDeltaGraph

WIDEST = 4096  # neurons of a network whose adjoint is solved for; beyond it is iterated
ENTRIES = 1 << 24  # of all matrices solved at once: 128 MiB
RIDGE = 1e-6  # added to the diagonal of a matrix that has no inverse
SWEEPS = 1000  # of the iteration, at most
SETTLED, TINY = 4, 1e-30  # it ends when a sweep changes nothing by more than so many units of the last place


def adjoint(graph: SigmaDeltaGraph, slopes: State, cost: State) -> State:
    """The l that solves l = c + D W l; by population, of shape [B, N].

    At a fixed point u = clip(a), a = drive + W s: if c is the derivative of a cost with respect to a where it reads
    them, l is that with respect to the drive. A neuron of slope 0 passes nothing on: only the others are solved for.

    Args:   graph; slopes D: ds/da, payload units per state unit; cost c; both by population, of shape [B, N].
    Source: Almeida 1987, Pineda 1987 (recurrent backpropagation); Bai et al. 2019 (deep equilibrium models).
    """
    sizes = [block.shape[1] for block in cost.values()]
    if sum(sizes) > WIDEST:
        return _iterated(graph, slopes, cost)
    d, c = (torch.cat([blocks[name] for name in cost], dim=1).double() for blocks in (slopes, cost))
    found = solved(_coupling(graph, list(cost), sizes).to(c), d, c)
    return dict(zip(cost, found.to(graph.dtype).split(sizes, dim=1), strict=True))


def solved(coupling: Tensor, slopes: Tensor, cost: Tensor) -> Tensor:
    """The l of `adjoint`, of shape [B, N], for weights W of shape [N, N], slopes D and cost c of shape [B, N]."""
    chosen = max(int((slopes != 0).sum(dim=1).amax()) if len(slopes) else 0, 1)
    at_once = max(ENTRIES // chosen**2, 1)
    blocks = zip(slopes.split(at_once), cost.split(at_once), strict=True)
    return torch.cat([_solved(coupling, *block, chosen) for block in blocks])


def _coupling(graph: SigmaDeltaGraph, names: list[str], sizes: list[int]) -> Tensor:
    """The weights between all moving neurons, rows: sources, of shape [N, N]."""
    starts = dict(zip(names, torch.tensor([0, *sizes]).cumsum(0).tolist(), strict=False))
    coupling = torch.zeros(sum(sizes), sum(sizes), dtype=torch.float64)
    for index, source, target in graph.recurrent:
        n_source = graph.spec.population(source).size
        weights = graph.synapses[index](torch.eye(n_source, dtype=graph.dtype, device=graph.device))
        row, column = starts[source], starts[target]
        coupling[row : row + weights.shape[0], column : column + weights.shape[1]] += weights.cpu()
    return coupling


def _solved(coupling: Tensor, slopes: Tensor, cost: Tensor, chosen: int) -> Tensor:
    """The l of shape [B, N]; chosen: neurons to solve for, at least as many as have a slope in any image."""
    index = (slopes != 0).double().topk(chosen, dim=1).indices
    rest = cost.scatter(1, index, 0.0)  # the other neurons have no slope, so that their l is c
    right = (cost + slopes * (rest @ coupling.T)).gather(1, index)
    matrix = -slopes.gather(1, index)[:, :, None] * coupling[index[:, :, None], index[:, None, :]]
    diagonal = torch.diagonal(matrix, dim1=1, dim2=2)
    diagonal += 1.0
    solution, info = torch.linalg.solve_ex(matrix, right)
    if bool(info.any()):
        diagonal += RIDGE * (info != 0)[:, None]
        solution, _ = torch.linalg.solve_ex(matrix, right)
    return cost.scatter(1, index, solution)


def _iterated(graph: SigmaDeltaGraph, slopes: State, cost: State) -> State:
    """Find l as the network itself settles: by damped steps, or population by population where layers take turns.

    The latter is the block Gauss-Seidel method, which converges wherever the energy has a minimum.
    """
    solution, quiet = dict(cost), 0
    for sweep in range(SWEEPS):
        before, largest = dict(solution), 0.0
        for name, own in cost.items():
            if graph.spec.parity[name] == sweep % 2:
                continue
            total = own
            for index, source, target in graph.recurrent:
                if source == name:
                    total = total + slopes[name] * graph.synapses[index].back(before[target])
            solution[name] = torch.lerp(before[name], total, graph.relaxations[name].step)
            largest = max(largest, float((solution[name] - before[name]).abs().amax() / (total.abs().amax() + TINY)))
        quiet = quiet + 1 if largest < SETTLED * torch.finfo(graph.dtype).eps else 0
        if quiet == 2:  # one sweep for each turn
            break
    return solution
