"""The hand-derived competitor learns."""

import torch

from benchmarks.tools.fast_rate import FastRateNetwork


def test_the_hand_derived_form_predicts_what_the_relaxation_predicts():
    torch.set_num_threads(1)  # as the benchmark does; small matrices
    torch.manual_seed(0)
    fast = FastRateNetwork((16, 12, 3), seed=0)
    x, goal = torch.rand(64, 16), torch.nn.functional.one_hot(torch.randint(0, 3, (64,)), 3).float()
    before = float((fast.predict(x, 20) == goal.argmax(1)).float().mean())
    for _ in range(300):
        fast.train_batch(x, goal, (0.4, 0.1), 0.5)
    after = float((fast.predict(x, 20) == goal.argmax(1)).float().mean())
    assert after > max(before, 0.6)  # random labels of 64 images, learned by heart
