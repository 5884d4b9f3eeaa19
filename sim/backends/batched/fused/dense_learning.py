"""The kernels of dense networks that learn: each program owns weights, and moves them in the order of the images.

Nothing is added up in floats, and nothing depends on the order in which programs run.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sim.backends.batched.fused.arithmetic import clip, mix32, stream_key


@triton.jit
def move_kernel(
    cursor, n_images, first_post, second_post, signs, moves,
    N_POST: tl.constexpr, POST_WIDTH: tl.constexpr, BATCH: tl.constexpr, IMAGES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The move of every neuron between the nudges, times the sign: int32 [N_POST, BATCH]."""
    images = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    exists = images < n_images
    inside = exists[:, None] & (columns < N_POST)[None, :]
    at = images[:, None] * POST_WIDTH + columns[None, :]
    move = tl.load(first_post + at, mask=inside, other=0).to(tl.int32)
    move -= tl.load(second_post + at, mask=inside, other=0).to(tl.int32)
    sign = tl.load(signs + tl.load(cursor).to(tl.int64) + images, mask=exists, other=0)
    tl.store(moves + columns[None, :] * BATCH + images[:, None], move * sign[:, None], mask=inside)


@triton.jit
def occupied_kernel(
    cursor, n_images, inputs, keys, occupied, streams,
    N_PRE: tl.constexpr, BATCH: tl.constexpr, STREAM: tl.constexpr, IMAGES: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Which ROWS inputs hold any that is not 0, int8 [blocks, BATCH]; and the random stream of each image, [BATCH]."""
    images = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    exists = images < n_images
    here = tl.load(cursor).to(tl.int64) + images
    values = tl.load(
        inputs + here[:, None] * N_PRE + rows[None, :], mask=exists[:, None] & (rows < N_PRE)[None, :], other=0
    )
    found = tl.max((values != 0).to(tl.int32), axis=1)
    tl.store(occupied + tl.program_id(1) * BATCH + images, found.to(tl.int8), mask=exists)
    stream = stream_key(tl.load(keys + here, mask=exists, other=0), STREAM)
    tl.store(streams + images, stream.to(tl.int32, bitcast=True), mask=exists)


@triton.jit
def commit_input_kernel(
    cursor, n_images, full, matrix, transposed, inputs, moves, occupied, streams, rates, lists,
    N_PRE: tl.constexpr, N_POST: tl.constexpr, POST_WIDTH: tl.constexpr, PADDED_PRE: tl.constexpr,
    BATCH: tl.constexpr, RATE: tl.constexpr, LIMIT: tl.constexpr, SHADOW: tl.constexpr, ROWS: tl.constexpr,
    MOST: tl.constexpr,
):  # fmt: skip
    """`commit_kernel` of ROWS weights of the input onto one neuron, which has moved in few images.

    Only images in which it has, and in which any of these inputs is not 0. `lists`: room for 3 MOST numbers of
    each program.
    """
    block, column = tl.program_id(0), tl.program_id(1)
    rows = block * ROWS + tl.arange(0, ROWS)
    is_row = rows < N_PRE
    index = rows * N_POST + column
    weights = tl.load(full + index, mask=is_row, other=0)
    gain, down = tl.load(rates + 2 * RATE), tl.load(rates + 2 * RATE + 1)
    low = ((1 << down) - 1).to(tl.uint32)
    here = inputs + tl.load(cursor).to(tl.int64) * N_PRE + rows
    mine = lists + (block * N_POST + column) * (3 * MOST)
    for start in range(0, n_images, MOST):
        images = start + tl.arange(0, MOST)
        exists = images < n_images
        move = tl.load(moves + column * BATCH + images, mask=exists, other=0)
        active = (move != 0) & (tl.load(occupied + block * BATCH + images, mask=exists, other=0) != 0)
        place = tl.cumsum(active.to(tl.int32), axis=0) - 1
        tl.store(mine + place, images, mask=active)
        tl.store(mine + MOST + place, move * gain, mask=active)
        tl.store(mine + 2 * MOST + place, tl.load(streams + images, mask=exists, other=0), mask=active)
        tl.debug_barrier()
        for k in tl.range(0, tl.sum(active.to(tl.int32), axis=0), loop_unroll_factor=4):
            image = tl.load(mine + k)
            scaled = tl.load(mine + MOST + k)
            stream = tl.load(mine + 2 * MOST + k).to(tl.uint32, bitcast=True)
            pre = tl.load(here + image * N_PRE, mask=is_row, other=0).to(tl.int32)
            bits = mix32(stream + index.to(tl.uint32)) & low
            step = (pre * scaled + bits.to(tl.int32)) >> down
            weights = clip(weights + clip(step, -2 * LIMIT, 2 * LIMIT), -LIMIT, LIMIT)
        tl.debug_barrier()  # before the next images overwrite the list
    tl.store(full + index, weights, mask=is_row)
    shown = ((weights + ((1 << SHADOW) >> 1)) >> SHADOW).to(tl.int8)
    tl.store(matrix + rows * POST_WIDTH + column, shown, mask=is_row)
    tl.store(transposed + column * PADDED_PRE + rows, shown, mask=is_row)


@triton.jit
def commit_kernel(
    cursor, n_images, full, matrix, transposed, first_pre, second_pre, first_post, second_post,
    signs, keys, rates, moments,
    N_PRE: tl.constexpr, N_POST: tl.constexpr, PRE_WIDTH: tl.constexpr, POST_WIDTH: tl.constexpr,
    PADDED_PRE: tl.constexpr, STREAM: tl.constexpr, RATE: tl.constexpr, LIMIT: tl.constexpr, SHADOW: tl.constexpr,
    CONSTANT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, MOST: tl.constexpr,
):  # fmt: skip
    """The images of a batch move ROWS x COLUMNS weights one after the other; the saturated ends are written back.

    full int32 [N_PRE, N_POST]; matrix int8 [PADDED_PRE, POST_WIDTH] and its transpose, what synapses transmit.
    The pre factor is a CONSTANT that is not 0, or s at both moments. Images for which nothing moved are left out: MOST
    at a time are looked at, and those in which something did are listed in `moments`, room for MOST of each program.
    """
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    first = tl.load(cursor).to(tl.int64)
    is_row, is_column = rows < N_PRE, columns < N_POST
    inside = is_row[:, None] & is_column[None, :]
    index = rows[:, None] * N_POST + columns[None, :]
    weights = tl.load(full + index, mask=inside, other=0)
    gain, down = tl.load(rates + 2 * RATE), tl.load(rates + 2 * RATE + 1)
    low = ((1 << down) - 1).to(tl.uint32)

    mine = moments + program * MOST
    for block in range(0, n_images, MOST):
        images = block + tl.arange(0, MOST)
        exists = images < n_images
        at_post = images[:, None] * POST_WIDTH + columns[None, :]
        post_mask = exists[:, None] & is_column[None, :]
        post_move = tl.load(first_post + at_post, mask=post_mask, other=0).to(tl.int32)
        post_move -= tl.load(second_post + at_post, mask=post_mask, other=0).to(tl.int32)
        active = tl.max((post_move != 0).to(tl.int32), axis=1)
        if CONSTANT == 0:
            at_pre = images[:, None] * PRE_WIDTH + rows[None, :]
            pre_mask = exists[:, None] & is_row[None, :]
            pre_move = tl.load(first_pre + at_pre, mask=pre_mask, other=0).to(tl.int32)
            pre_move -= tl.load(second_pre + at_pre, mask=pre_mask, other=0).to(tl.int32)
            active = tl.maximum(active, tl.max((pre_move != 0).to(tl.int32), axis=1))
        n_active = tl.sum(active, axis=0)
        tl.store(mine + tl.cumsum(active, axis=0) - 1, images, mask=active != 0)
        tl.debug_barrier()
        for k in tl.range(0, n_active, loop_unroll_factor=4):
            image = tl.load(mine + k)
            sign = tl.load(signs + first + image)
            stream = stream_key(tl.load(keys + first + image), STREAM)
            post = image * POST_WIDTH + columns
            post_first = tl.load(first_post + post, mask=is_column, other=0).to(tl.int32)
            post_second = tl.load(second_post + post, mask=is_column, other=0).to(tl.int32)
            if CONSTANT != 0:
                change = tl.zeros((ROWS, COLUMNS), dtype=tl.int32) + CONSTANT * (post_first - post_second)[None, :]
            else:
                pre_at = image * PRE_WIDTH + rows
                pre = tl.load(first_pre + pre_at, mask=is_row, other=0).to(tl.int32)
                pre_second = tl.load(second_pre + pre_at, mask=is_row, other=0).to(tl.int32)
                change = pre[:, None] * post_first[None, :]
                change -= pre_second[:, None] * post_second[None, :]
            bits = mix32(stream + index.to(tl.uint32)) & low
            step = (change * (sign * gain) + bits.to(tl.int32)) >> down
            weights = clip(weights + clip(step, -2 * LIMIT, 2 * LIMIT), -LIMIT, LIMIT)
        tl.debug_barrier()  # before the next block overwrites the list
    tl.store(full + index, weights, mask=inside)
    shown = ((weights + ((1 << SHADOW) >> 1)) >> SHADOW).to(tl.int8)
    tl.store(matrix + rows[:, None] * POST_WIDTH + columns[None, :], shown, mask=inside)
    tl.store(transposed + columns[None, :] * PADDED_PRE + rows[:, None], shown, mask=inside)
