"""Attacks that use no gradient: random noise, and the random search of Square."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neuro.base.checks import Range
from neuro.base.errors import UserError
from sim.robustness.attacks.search import Adversarial, Kind, Model, Search, generator_of
from sim.robustness.attacks.threats import Threat, norm_of, per_image

HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries of 10,000; Andriushchenko et al. 2020, 4.3
N_NOISES = 3


@dataclass(frozen=True)
class Noise:
    """Random noise of the size of the threat: in turn uniform, gaussian, and of one size in every pixel; best of all.

    steps: number of draws.
    """

    steps: int = 12
    several_sizes: ClassVar[bool] = True
    kind: Kind = "noise"
    family: str = "noise"

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat)
        for draw in range(self.steps):
            search.offer(_noisy(threat, search.clean, draw % N_NOISES, generator_of(seed, draw)))
        return search.result()


def _noisy(threat: Threat, clean: Tensor, which: int, generator: torch.Generator) -> Tensor:
    if which == 0:
        return threat.random_start(clean, generator)
    shape = clean.shape[1:]
    noise = threat.drawn(lambda n: torch.randn((n, *shape), generator=generator), len(clean)).to(clean)
    noise = noise if which == 1 else noise.sign()
    if threat.norm == "l2":
        noise = noise / per_image(norm_of(noise, "l2"), noise)
    elif which == 1:
        noise = noise / 3.0  # eps is three deviations
    return threat.project(clean + threat.sizes(clean) * noise, clean)


def window_share(query: int, n_queries: int, first: float = 0.8) -> float:
    """The share of pixels that query number `query` changes: halved on a schedule scaled to `n_queries`."""
    scaled = query * 10_000 // n_queries
    return first * 0.5 ** int(sum(scaled > limit for limit in HALVED_AFTER))


def bump(height: int, width: int, like: Tensor) -> Tensor:
    """A window of length 1 (l2): a positive and a negative pyramid side by side (eq. 2 of the source).

    Each pyramid is a sum of centred rectangles with weights 1 / (k + 1)^2.
    """

    def pyramid(rows: int, columns: int) -> Tensor:
        row = (torch.arange(rows) - rows // 2).abs()
        column = (torch.arange(columns) - columns // 2).abs()
        ring = torch.maximum(row[:, None], column[None, :])
        weights = torch.arange(1, max(rows, columns) // 2 + 2, dtype=torch.float32).pow(-2)
        heights: Tensor = weights.flip(0).cumsum(0).flip(0)
        return heights[ring]

    if height > 1:
        halves = [pyramid(height // 2, width), -pyramid(height - height // 2, width)]
        window = torch.cat(halves, 0)
    elif width > 1:
        window = torch.cat([pyramid(1, width // 2), -pyramid(1, width - width // 2)], 1)
    else:
        window = torch.ones(1, 1)
    length: Tensor = torch.linalg.vector_norm(window)
    return (window / length).to(like)


@dataclass(frozen=True)
class Square:
    """Square: random windows of one change each, kept where the margin grows. Uses scores only, so masks do not help.

    steps: number of queries; stop_when_fooled: ask no more for an image once it is fooled.
    Positions and sizes are drawn for the batch, signs for every image. Images of shape [n], [h, w] or [h, w, c].
    Source: Andriushchenko et al. 2020, algorithms 1 (linf: stripes, then windows of +-eps) and 3 (l2).
    """

    steps: int = 5000
    stop_when_fooled: bool = True
    several_sizes: ClassVar[bool] = True
    kind: Kind = "query"
    family: str = "square"

    def __post_init__(self) -> None:
        Range(1).require("attack square", queries=self.steps)

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat)
        run = _Windows(search, generator_of(seed))
        current = run.first()
        best_margins = search.offer(run.as_images(current))
        active = torch.arange(len(images), device=images.device)
        for query in range(1, self.steps):
            if self.stop_when_fooled:
                active = active[search.best_margin[active] <= 0]
            if not len(active):
                break
            candidate = run.changed(current[active], active, window_share(query, self.steps))
            margins = run.offer(candidate, active)
            better = margins > best_margins[active]
            best_margins[active] = torch.where(better, margins, best_margins[active])
            current[active] = torch.where(per_image(better, candidate), candidate, current[active])
        return search.result()


class _Windows:
    """Proposals of Square on one batch, as changed images of shape [B, h, w, c]."""

    def __init__(self, search: Search, generator: torch.Generator) -> None:
        self.search, self.generator = search, generator
        shape = search.clean.shape[1:]
        height, width, channels = (1, shape[0], 1) if len(shape) == 1 else (*shape, 1)[:3]
        if len(shape) > 3:
            raise UserError(f"attack square: images of shape {tuple(shape)}; give [n], [h, w] or [h, w, c]")
        self.clean = search.clean.reshape(-1, height, width, channels)

    def as_images(self, values: Tensor) -> Tensor:
        """Bring [B, h, w, c] into the shape of the images."""
        return values.reshape(-1, *self.search.clean.shape[1:])

    def offer(self, candidates: Tensor, active: Tensor) -> Tensor:
        """Offer candidates for the images `active`; return their margins."""
        search = self.search
        images = search.best_images.clone()
        images[active] = self.as_images(candidates)
        scores = search.clean_scores.clone()
        scores[active] = search.scores(images[active])
        return search.offer(images, scores)[active]

    def first(self) -> Tensor:
        """The start: vertical stripes of +-eps (linf), a grid of bumps (l2)."""
        clean, threat = self.clean, self.search.threat
        if threat.norm == "linf":
            return threat.project(clean + threat.sizes(clean) * self._signs(clean.shape[2]), clean)
        height, width = clean.shape[1:3]
        rows, columns = max(height // 5, 1), max(width // 5, 1)
        change = torch.zeros_like(clean)
        for top in range(0, height - rows + 1, rows):
            for left in range(0, width - columns + 1, columns):
                window = bump(rows, columns, clean)[None, :, :, None] * self._signs()
                change[:, top : top + rows, left : left + columns] += window
        return threat.project(clean + threat.sizes(clean) * threat.steepest(change), clean)

    def changed(self, current: Tensor, active: Tensor, share: float) -> Tensor:
        """`current` with one more window changed, in a share `share` of the pixels."""
        clean, threat, signs = self.clean[active], self.search.threat.among(active), self._signs()[active]
        _, height, width, _ = clean.shape
        rows = min(max(round(math.sqrt(share * height * width)), 1), height)
        columns = min(max(round(share * height * width / rows), 1), width)
        if threat.norm == "l2":
            return self._moved_mass(current, clean, threat, signs, rows, columns)
        top, left = self._corner(height - rows), self._corner(width - columns)
        area = (slice(None), slice(top, top + rows), slice(left, left + columns))
        changed = current.clone()
        changed[area] = clean[area] + threat.sizes(clean) * signs
        return threat.project(changed, clean)

    def _moved_mass(
        self, current: Tensor, clean: Tensor, threat: Threat, signs: Tensor, rows: int, columns: int
    ) -> Tensor:
        """Empty one window and give its length to a bump in another (algorithm 3)."""
        _, height, width, channels = clean.shape
        rows, columns = min(max(rows, 3), height), min(max(columns, 3), width)
        corners = [(self._corner(height - rows), self._corner(width - columns)) for _ in range(2)]
        areas = [(slice(None), slice(top, top + rows), slice(left, left + columns)) for top, left in corners]
        change = current - clean
        mask = torch.zeros_like(change[:1])
        for area in areas:
            mask[area] = 1.0
        freed = (change * mask).square().sum((1, 2), keepdim=True)
        used = change.square().sum((1, 2, 3), keepdim=True)
        unused = (threat.sizes(clean) ** 2 - used).clamp(min=0.0) / channels
        old = change[areas[0]]
        window = bump(rows, columns, clean)
        window = window.T if rows == columns and self._corner(1) else window
        new = window[None, :, :, None] * signs
        new = new + old / old.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-12)
        new = new / new.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-12) * (freed + unused).sqrt()
        change[areas[1]] = 0.0
        change[areas[0]] = new
        return threat.project(clean + threat.sizes(clean) * threat.steepest(change), clean)

    def _signs(self, columns: int = 1) -> Tensor:
        """Signs of every image, of shape [B, 1, columns, c]."""
        shape = (1, columns, self.clean.shape[3])
        drawn = self.search.threat.drawn(
            lambda n: torch.randint(0, 2, (n, *shape), generator=self.generator), len(self.clean)
        )
        return drawn.to(self.clean) * 2 - 1

    def _corner(self, limit: int) -> int:
        return int(torch.randint(0, limit + 1, (1,), generator=self.generator))
