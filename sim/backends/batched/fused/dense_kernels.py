"""The kernels of dense networks that settle: what sources deliver, and all steps of a few images.

Matrices lie in memory twice, padded with zeros to the sizes that the kernels take: as [source, target] and transposed,
so that a product always reads along the sum.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sim.backends.batched.fused.arithmetic import activation, moved, product


@triton.jit
def drive_kernel(
    cursor, n_images, inputs, matrices, constants, into,
    N: tl.constexpr, SCALES: tl.constexpr, CONSTANT_SIZES: tl.constexpr, CONSTANT_VALUES: tl.constexpr,
    WIDTHS: tl.constexpr, PADDED: tl.constexpr, IMAGES: tl.constexpr, NEURONS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """What the sources deliver to one population: into int32 [B, PADDED] = sum of inputs @ W << shift, and constants.

    inputs int8 [n, N], read from image `cursor` on; matrices int8 [PADDED, width], one for each projection of the
    input; constants int8 [size, PADDED], one for each of a constant source.
    """
    rows = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    columns = tl.program_id(1) * NEURONS + tl.arange(0, NEURONS)
    first = tl.load(cursor).to(tl.int64)
    here = rows < n_images
    total = tl.zeros((IMAGES, NEURONS), dtype=tl.int32)
    for link in tl.static_range(len(WIDTHS)):
        part = tl.zeros((IMAGES, NEURONS), dtype=tl.int32)
        for start in range(0, N, K):
            taps = start + tl.arange(0, K)
            read = inputs + (first + rows[:, None]) * N + taps[None, :]
            values = tl.load(read, mask=here[:, None] & (taps < N)[None, :], other=0)
            weights = tl.load(matrices[link] + columns[:, None] * WIDTHS[link] + taps[None, :])
            part = tl.dot(values, tl.trans(weights), part, out_dtype=tl.int32)
        total += part * SCALES[link]
    for source in tl.static_range(len(CONSTANT_SIZES)):
        row = tl.zeros((NEURONS,), dtype=tl.int32)
        for index in range(CONSTANT_SIZES[source]):
            row += tl.load(constants[source] + index * PADDED + columns).to(tl.int32)
        total += (row * CONSTANT_VALUES[source])[None, :]
    tl.store(into + rows[:, None].to(tl.int64) * PADDED + columns[None, :], total, mask=here[:, None])


@triton.jit
def _zeros(ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """A block of int32 zeros."""
    return tl.zeros((ROWS, COLUMNS), dtype=tl.int32)


@triton.jit
def _narrowed(values, WIDE: tl.constexpr):
    """Payloads as they are held."""
    if WIDE:
        return values.to(tl.int16)
    else:
        return values.to(tl.int8)


@triton.jit
def _range(N: tl.constexpr):
    """0..N-1."""
    return tl.arange(0, N)


@triton.jit
def _within(rows, WIDTH: tl.constexpr):
    """Where the values of some rows lie in a contiguous matrix."""
    return rows[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]


@triton.jit
def _block(matrix, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """All of a contiguous matrix."""
    return tl.load(matrix + _within(tl.arange(0, ROWS), COLUMNS))


@triton.jit
def _step(
    step, u, s, seen, drives, matrices, weights, force,
    PADDED: tl.constexpr, WIDE: tl.constexpr, UNITS: tl.constexpr, PARITIES: tl.constexpr, SOURCES: tl.constexpr,
    TARGETS: tl.constexpr, SCALES: tl.constexpr, OUTPUT: tl.constexpr, HELD: tl.constexpr, PATIENCE: tl.constexpr,
    IMAGES: tl.constexpr,
):  # fmt: skip
    """One step of all populations: their new u, s and spikes seen; and whether anything changed."""
    next_u, next_s, next_seen = (), (), ()
    changed = 0
    for p in tl.static_range(len(PADDED)):
        total = drives[p]
        for link in tl.static_range(len(SOURCES)):
            if TARGETS[link] == p:
                weights = _block(matrices[link], PADDED[p], PADDED[SOURCES[link]])
                sent = product(
                    s[SOURCES[link]], tl.trans(weights), _zeros(IMAGES, PADDED[p]), WIDE[SOURCES[link]], False
                )
                total += sent * SCALES[link]
        if p == OUTPUT:
            total += force
        new = moved(u[p], total, UNITS[p][0], UNITS[p][1], UNITS[p][2], UNITS[p][3])
        if PARITIES[p] >= 0:
            new = tl.where(step % 2 == PARITIES[p], new, u[p])
        sent = activation(new, UNITS[p][4], UNITS[p][5], UNITS[p][6])
        spike = sent != s[p].to(tl.int32)
        if PATIENCE > 0:
            changed |= tl.max(tl.max((spike | (new != u[p])).to(tl.int32), axis=1), axis=0)
        next_seen = next_seen + (tl.where(spike, ((seen[p] & 0xFFFF) + 1) | (step << 16), seen[p]),)
        next_u = next_u + (new,)
        next_s = next_s + (_narrowed(sent, WIDE[p]),)
    return next_u, next_s, next_seen, changed


@triton.jit
def settle_kernel(
    cursor, n_images, drives_at, matrices, targets, signs, counts, output, last_spike, nudged,
    first_sent, second_sent, first_state, second_state,
    PADDED: tl.constexpr, WIDE: tl.constexpr, UNITS: tl.constexpr, PARITIES: tl.constexpr, FED: tl.constexpr,
    INDEX: tl.constexpr, SOURCES: tl.constexpr, TARGETS: tl.constexpr, SCALES: tl.constexpr, KEPT: tl.constexpr,
    OUTPUT: tl.constexpr, CLASSES: tl.constexpr, POPULATIONS: tl.constexpr, PHASES: tl.constexpr, ENDS: tl.constexpr,
    NUDGES: tl.constexpr, N_PHASES: tl.constexpr, STRENGTH: tl.constexpr, STRENGTH_SHIFT: tl.constexpr,
    CONSTANT: tl.constexpr, PATIENCE: tl.constexpr, NUDGED: tl.constexpr, LEARNS: tl.constexpr, HELD: tl.constexpr,
    IMAGES: tl.constexpr,
):  # fmt: skip
    """All steps of IMAGES images. A phase ends when PATIENCE steps in a row changed nothing: nor will any other. (0: no
    one looks.)

    u, s and what a population sees of itself stay in registers: the step of its last spike in the upper, the number of
    its spikes in the lower 16 bits. HELD weights are read once.
    """
    rows = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    here = rows < n_images
    image = tl.load(cursor).to(tl.int64) + rows
    rows = rows.to(tl.int64)
    classes = _range(PADDED[OUTPUT])
    is_class = here[:, None] & (classes < CLASSES)[None, :]
    u, s, drives = (), (), ()
    for p in tl.static_range(len(PADDED)):
        drive = _zeros(IMAGES, PADDED[p])
        if FED[p]:
            drive = tl.load(drives_at[p] + _within(rows, PADDED[p]), mask=here[:, None], other=0)
        drives = drives + (drive,)
        u = u + (_zeros(IMAGES, PADDED[p]),)
        s = s + (_narrowed(_zeros(IMAGES, PADDED[p]), WIDE[p]),)
    weights = ()
    if HELD:
        for link in tl.static_range(len(SOURCES)):
            weights = weights + (_block(matrices[link], PADDED[TARGETS[link]], PADDED[SOURCES[link]]),)
    goal = _zeros(IMAGES, PADDED[OUTPUT])
    held = _zeros(IMAGES, PADDED[OUTPUT])
    sign = tl.zeros((IMAGES,), dtype=tl.int32)
    if NUDGED:
        goal = tl.load(targets + image[:, None] * CLASSES + classes[None, :], mask=is_class, other=0)
        sign = tl.load(signs + image, mask=here, other=1)
    for phase in tl.static_range(N_PHASES):
        seen = ()
        for p in tl.static_range(len(PADDED)):
            seen = seen + (_zeros(IMAGES, PADDED[p]),)
        step = 1 if phase == 0 else ENDS[phase - 1] + 1
        quiet = 0
        while (step <= ENDS[phase]) & ((PATIENCE == 0) | (quiet < PATIENCE)):
            force = _zeros(IMAGES, PADDED[OUTPUT])
            if NUDGES[phase] != 0:
                if CONSTANT:
                    force = held * (sign * NUDGES[phase])[:, None]
                else:
                    force = (((goal - u[OUTPUT]) * STRENGTH) >> STRENGTH_SHIFT) * (sign * NUDGES[phase])[:, None]
            u, s, seen, changed = _step(
                step, u, s, seen, drives, matrices, weights, force,
                PADDED, WIDE, UNITS, PARITIES, SOURCES, TARGETS, SCALES, OUTPUT, HELD, PATIENCE,
                IMAGES,
            )  # fmt: skip
            quiet = tl.where(changed != 0, 0, quiet + 1)
            step += 1
        if phase == 0:
            held = ((goal - u[OUTPUT]) * STRENGTH) >> STRENGTH_SHIFT
            tl.store(output + image[:, None] * CLASSES + classes[None, :], u[OUTPUT], mask=is_class)
            last = tl.zeros((IMAGES,), dtype=tl.int32)
            for p in tl.static_range(len(PADDED)):
                last = tl.maximum(last, tl.max(seen[p] >> 16, axis=1))
            tl.store(last_spike + image, last, mask=here)
        for p in tl.static_range(len(PADDED)):
            spikes = tl.sum(seen[p] & 0xFFFF, axis=1)
            tl.store(counts + (image * POPULATIONS + INDEX[p]) * (1 + PHASES) + phase + 1, spikes, mask=here)
        if NUDGED and phase >= PHASES - 2:
            at = nudged + (image[:, None] * 2 + (phase - (PHASES - 2))) * CLASSES + classes[None, :]
            tl.store(at, u[OUTPUT], mask=is_class)
        if LEARNS and phase >= PHASES - 2:
            for p in tl.static_range(len(PADDED)):
                at = _within(rows, PADDED[p])
                if phase == PHASES - 2:
                    tl.store(first_sent[p] + at, s[p], mask=here[:, None])
                    if KEPT[p]:
                        tl.store(first_state[p] + at, u[p], mask=here[:, None])
                else:
                    tl.store(second_sent[p] + at, s[p], mask=here[:, None])
                    if KEPT[p]:
                        tl.store(second_state[p] + at, u[p], mask=here[:, None])
