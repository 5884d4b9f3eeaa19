"""Which commands derive which file of `benchmarks/results`, in an order in which later ones may use earlier runs."""

from __future__ import annotations

from dataclasses import dataclass

MODULE, SETTLE = "python -m benchmarks.", "settle "
MNIST = "train ep --data mnist --schedule parallel --learning-rate 2 --output-share 0.4"
FULL_MNIST = f"{MNIST} --epochs 10"
NOISY_MNIST = "train ep --data mnist --noise .5 --learning-rate 6 --output-share .25 --epochs 20"
MAPS = "conv:16x5,pool:2,conv:32x5,pool:2"
WIDER = "conv:32x5,pool:2,conv:64x5,pool:2"
TWO_MAPS = f"{MNIST} --epochs 8 --not-centred --layers {MAPS}"
CIFAR10 = "--data cifar10 --layers conv:32x3,pool:2,conv:64x3,pool:2 --images 5000 --epochs 2 --seeds 1"
ATLAS_ROWS = "cnn,perceptron-noise,perceptron-adversarial,ep,ep-deep,ep-maps,ep-noise,ep-adversarial,lca-ep,lca-control"
KERNELS = f"{FULL_MNIST} --not-centred --layers conv:64x9:valid"


@dataclass(frozen=True)
class Recipe:
    """A file of results and the commands that write it.

    name:     of the file, without .json.
    commands: words after `python -m benchmarks.` or `settle `; {out} is the file, {runs} a folder for trained networks.
    minutes:  about what they take on two cores; a guess until they have been run.
    short:    commands that derive a part of the file within a minute or two, for the check; or none.
    means:    places, a regular expression, of means over seeds: a short form has fewer, and they are not compared.
    needs_card: whether they need a CUDA device.
    left:     what is in the committed file and no command derives, with the reason.
    """

    name: str
    minutes: float
    commands: tuple[str, ...]
    short: tuple[str, ...] = ()
    needs_card: bool = False
    left: str = ""
    means: str = ""

    def shown(self) -> list[str]:
        """The commands as one types them: without the file, which is where it is by default."""
        plain = [
            command.replace(" --out {out}", "").replace(" --result {out}", "").replace("{runs}", "runs")
            for command in self.commands
        ]
        return [part for part in dict.fromkeys(plain)]


def asked(words: str) -> str:
    """The command of a benchmark that writes the file of its recipe."""
    return f"{MODULE}{words} --out {{out}}"


def trained(words: str, run: str) -> str:
    """A training into a folder, if it is not there yet."""
    return f"{SETTLE}{words} --out {{runs}}/{run}"


def deep_run(words: str, run: str) -> tuple[str, str]:
    """A training, and its row in the file of `benchmarks.depth`."""
    return trained(words, run), asked(f"depth --part run --run {{runs}}/{run}")


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "gradient_alignment", 1, (asked("gradient_alignment"),), (asked("gradient_alignment --seeds 1"),)
    ),
    Recipe(
        "accuracy-digits", 2, (asked("accuracy --data digits --hidden 64 --seeds 6"),),
        (asked("accuracy --data digits --hidden 64 --seeds 1"),),
    ),
    Recipe("accuracy-mnist", 6, (asked("accuracy --data mnist --hidden 256 --epochs 12 --seeds 3"),)),
    Recipe("accuracy-fashion-mnist", 8, (asked("accuracy --data fashion-mnist --hidden 256 --epochs 12 --seeds 3"),)),
    Recipe("train_speed", 3, (asked("train_speed"),)),
    Recipe("estimators", 6, (asked("estimators --states 5"),)),
    Recipe(
        "strangers", 5,
        (
            asked("strangers --seeds 10 --sets iris wine breast_cancer"),
            asked("strangers --seeds 5 --sets digits-28x28"),
        ),
    ),
    Recipe("design_choices-digits", 5, (asked("design_choices --data digits --seeds 40"),)),
    Recipe("design_choices-mnist", 4, (asked("design_choices --data mnist --seeds 3"),)),
    Recipe(
        "batch_size-digits", 2, (asked("batch_size --data digits --hidden 64 --seeds 3"),),
        (asked("batch_size --data digits --hidden 64 --seeds 1 --batches 1,16"),),
        means=r"^batches\.\d+\.(test_accuracy|sd)$",
    ),
    Recipe("batch_size-mnist", 4, (asked("batch_size --data mnist --hidden 256 --epochs 12 --seeds 1"),)),
    Recipe("scaling", 5, (asked("scaling"),)),
    Recipe(
        "depth-mnist", 90,
        (
            asked("depth --part tries --seeds 1"),
            *(
                command
                for seed in range(3)
                for command in deep_run(f"{FULL_MNIST} --hidden 256,256 --centred --seed {seed}", f"deep-{seed}")
            ),
            asked("depth --part accuracy --hidden 256,256 --epochs 10 --seeds 2 --only spiking"),
            asked("depth --part accuracy --hidden 256,256 --epochs 10 --seeds 1 --only float"),
            asked("depth --part accuracy --hidden 128,128,128 --epochs 10 --seeds 1"),
            *(
                command
                for seed in range(3)
                for command in deep_run(f"{KERNELS},pool:2 --seed {seed}", f"kernels-{seed}")
            ),
            *deep_run(f"{KERNELS},pool:4", "pool-4"),
            *deep_run(TWO_MAPS, "two-maps"),
        ),
        left="every row is kept under the options it was measured with; two layers of maps: at earlier defaults",
    ),
    Recipe(
        "settling-mnist", 60,
        (
            asked("settling --shapes 256 256,256 128,128,128"),
            asked(f"settling --only even-odd --shapes {MAPS}"),
            asked(f"settling --part cost --shapes 256 256,256 {MAPS}"),
        ),
    ),
    Recipe(
        "settling-fashion-mnist", 10,
        (asked(f"settling --data fashion-mnist --only even-odd --seeds 1 --shapes {MAPS}"),),
    ),
    Recipe(
        "settling-cifar10", 50,
        (
            asked(f"settling --data cifar10 --flip --only even-odd --seeds 1 --shapes {WIDER}"),
            asked(f"settling --data cifar10 --flip --part backprop --seeds 1 --epochs 9 --shapes {WIDER}"),
        ),
    ),
    Recipe(
        "depth-cifar10", 1,
        (asked(f"depth --part kernels {CIFAR10}"),),
    ),
    Recipe("large_network", 3, (asked("large_network"),)),
    Recipe("lava_equality", 60, (asked("lava_equality"),)),
    Recipe("lava_speed", 3, (asked("lava_speed"),)),
    Recipe("gpu", 5, (asked("gpu --specs 6 --seconds 0.5 --energy-seconds 2"),), needs_card=True),
    Recipe(
        "stock_accuracy-digits", 25, (asked("stock_accuracy --data digits --hidden 128 --rules R7,R5,deferred,R1,R3"),),
        left="rules R2 and R4 at earlier defaults (output layer at the full rate, target rate 0.25)",
    ),
    Recipe(
        "stock_accuracy-mnist", 20,
        (
            asked("stock_accuracy --data mnist --hidden 128 --epochs 2 --seeds 1 --rules deferred"),
            asked("stock_accuracy --data mnist --hidden 128 --epochs 2 --seeds 1 --rules R5 --images 20000"),
            asked("stock_accuracy --data mnist --hidden 128 --epochs 2 --seeds 1 --rules R1,R3,R2,R4 --images 10000"),
            asked("stock_accuracy --data mnist --hidden 128 --rules R7"),
        ),
    ),
    Recipe("front_ends-mnist", 25, (asked("front_ends --data mnist --hidden 256 --images 6000 --epochs 4 --seeds 3"),)),
    Recipe("stock_alignment", 5, (asked("stock_alignment"),)),
    Recipe(
        "stock_learning_speed", 3, (asked("stock_learning_speed"),),
        left="the other commit, whose checkout --against names",
    ),
    Recipe("stock_chip-mnist", 2, (asked("stock_chip --data mnist --hidden 128"),)),
    Recipe("stock_graded", 60, (asked("stock_graded"),)),
    Recipe(
        "stock_tries-digits", 20, (asked("stock_tries --epochs 6 --seeds 1"),),
        left="what was tried at earlier defaults, under names that say so",
    ),
    Recipe("stock_lca", 10, (asked("stock_lca"),)),
    Recipe("lca_integer", 8, (asked("lca_integer"),)),
    Recipe("lca_quality", 8, (asked("lca_quality"),)),
    Recipe("lca_speed", 3, (asked("lca_speed --data synthetic"),)),
    Recipe("lca_speed-cifar10", 3, (asked("lca_speed --data cifar10"),)),
    Recipe("lca_energy", 3, (asked("lca_energy"),)),
    Recipe("loihi_model", 3, (asked("loihi_model"),)),
    Recipe("sanafe_oracle", 3, (asked("sanafe_oracle"),)),
    Recipe("nir_readers", 3, (asked("nir_readers"),)),
    Recipe("imported", 6, (asked("imported"),)),
    Recipe("slayer", 40, (asked("slayer"), asked("slayer_choice"))),
    Recipe(
        "bench-digits", 3,
        (
            trained("train ep --data digits --hidden 64", "digits"),
            trained("train slayer --data digits", "slayer"),
            f"{SETTLE}bench {{runs}}/digits --threads 1 --slayer {{runs}}/slayer --out {{out}}",
        ),
    ),
    Recipe(
        "bench-mnist", 4,
        (
            trained("train ep --data mnist --hidden 256 --epochs 12", "mnist"),
            f"{SETTLE}bench {{runs}}/mnist --threads 1 --out {{out}}",
        ),
    ),
    Recipe("twin_fidelity", 4, (asked("twin_fidelity"),)),
    Recipe("robustness-mnist", 120, (asked("robustness --runs {runs}/robustness"),)),
    Recipe(
        "hostile-mnist", 120, (asked("hostile --runs {runs}/robustness"),),
        left="rows are measured one by one; those under not_done are not yet in the committed file",
    ),
    Recipe("fuzz", 20, (asked("fuzz"),)),
    Recipe("kills", 12, (asked("kills --kills 60"),)),
    Recipe("fixed_point-mnist", 2, (asked("fixed_point --runs {runs}/robustness"),)),
    Recipe("guidance", 25, (asked("guidance --part choices --seeds 4"), asked("guidance --seeds 10"))),
    Recipe(
        "atlas-digits", 30,
        (
            f"{SETTLE}atlas --data digits --quick --seeds 3 --rows {ATLAS_ROWS} --out {{runs}}/atlas-digits "
            "--result {out}",
        ),
    ),
    Recipe(
        "certified", 30,
        (
            trained(f"{NOISY_MNIST} --seed 0", "certified-noise-seed0"),
            trained(f"{FULL_MNIST} --seed 0", "certified-plain-seed0"),
            asked("certified --part run --run {runs}/certified-noise-seed0"),
            asked("certified --part run --run {runs}/certified-noise-seed0 --images 200"),
            asked("certified --part run --run {runs}/certified-plain-seed0 --images 200"),
            asked("certified --part perceptron --images 200"),
            asked("certified --part attack --run {runs}/certified-noise-seed0"),
        ),
    ),
)  # fmt: skip


def recipe(name: str) -> Recipe:
    """The recipe of the file `name`.json."""
    return next(entry for entry in RECIPES if entry.name == name)
