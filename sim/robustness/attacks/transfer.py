"""Attack one model with the adversarial images of another: what a mask on the attacked model cannot hide."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.search import Adversarial, Attack, Kind, Model, Search
from sim.robustness.attacks.threats import Threat


@dataclass(frozen=True, eq=False)
class Transfer:
    """Runs `attack` on `source`, whatever the attacked model is; margins are those of the attacked model.

    The images are handed back even where the attacked model withstands them: it may differ from the scored one.
    returned_clean: the attack on the source found nothing. Source: Papernot et al. 2017.
    """

    source: Model
    name: str = "transfer"
    attack: Attack = field(default_factory=lambda: ProjectedGradient(40, loss="margin", momentum=0.75))
    kind: Kind = "transfer"

    @property
    def several_sizes(self) -> bool:
        """Whether the attack on the source takes several sizes at once."""
        return getattr(self.attack, "several_sizes", False)

    @property
    def family(self) -> str:
        """Names the source."""
        return self.name

    @property
    def steps(self) -> int:
        """Steps of the attack on the source."""
        return self.attack.steps

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        adversarial = self.attack(self.source, images, labels, threat, seed)
        search = Search(model, images, labels, threat)
        margins = margin(search.scores(adversarial.images), search.labels)
        return Adversarial(adversarial.images, margins, adversarial.returned_clean)
