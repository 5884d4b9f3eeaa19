"""What a stock training deploys: the mean of the weights that a host reads during an epoch."""

from dataclasses import replace

import numpy as np

from neuro.data.sets import load_dataset, split_validation
from sim.training.config import TrainConfig
from sim.training.recipe import make_trainer
from sim.training.stock_recipe import stock_choices


class Spy:
    """Notes the weights after every chunk, as the trainer reads them."""

    def __init__(self):
        self.read = []

    def on_chunk(self, trainer):
        self.read.append(trainer.session.weights())

    def on_epoch(self, trainer):
        self.deployed, self.own = trainer.best_weights, trainer.session.weights()


def make(epochs=1):
    dataset, config = load_dataset("digits", 0), TrainConfig(hidden=(16,), rule="R5", family="stock", threads=1)
    split = split_validation(dataset.y_train, 0)
    split = replace(split, train=split.train[:400], validation=split.validation[:40])
    return make_trainer(dataset, config, stock_choices(config), split, epochs)


def test_the_mean_over_the_epoch_is_deployed_and_the_chip_goes_on_from_its_own():
    trainer, spy = make(), Spy()
    trainer.run(spy)
    assert len(spy.read) == 4  # 400 images in chunks of 128
    for name, deployed in spy.deployed.items():
        mean = np.mean([weights[name] for weights in spy.read], axis=0)
        np.testing.assert_array_less(np.abs(np.clip(mean, -256, 254) - deployed), 1.0 + 1e-9)
        assert not (deployed & 1).any()
        np.testing.assert_array_equal(spy.own[name], spy.read[-1][name])
    assert any((spy.own[name] != spy.deployed[name]).any() for name in spy.own)


def test_a_new_epoch_starts_a_new_mean():
    trainer, spy = make(epochs=2), Spy()
    trainer.run(spy)
    for name, deployed in trainer.deployable().items():
        mean = np.mean([weights[name] for weights in spy.read[4:]], axis=0)
        np.testing.assert_array_less(np.abs(np.clip(mean, -256, 254) - deployed), 1.0 + 1e-9)


def test_a_trainer_put_where_another_stood_deploys_the_same():
    first, second = make(), make()

    class Stop(Exception):
        pass

    class Halfway(Spy):
        def on_chunk(self, trainer):
            super().on_chunk(trainer)
            if len(self.read) == 2:
                raise Stop

    try:
        first.run(Halfway())
    except Stop:
        pass
    second.restore({name: values.copy() for name, values in first.full_weights().items()})
    second.progress = replace(first.progress, history=list(first.progress.history))
    for trainer in (first, second):
        trainer.run(Spy())
    for name, values in first.best_weights.items():
        np.testing.assert_array_equal(second.best_weights[name], values)
