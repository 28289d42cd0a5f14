// The work queue of `solve`: which tile of which pair a block works on next.
//
// A pair goes through the stages below, all of its tiles through one before any begins the next. The block
// that finishes the last tile of a stage decides on the next one and appends its tiles to the queue; blocks
// take tiles in the order of the queue, of whatever pair and stage they are. A slot holds the pair being
// worked on; when it is done, the slot takes the next pair. So every multiprocessor has work until the last
// pairs of a batch, a pair's state is still in the L2 cache when its next tiles come, and nothing is asked of
// the host. Blocks wait for tiles without holding any, so all of them need not be resident.

constexpr int START = 0, WARP = 1, MEDIAN = 2, ITERATE = 3, GROW = 4, STORE = 5;

// A pyramid level; the coarsest is the first.
struct Level {
    Plane plane;
    int across, tiles;  // tiles of `iterate` side by side, and in all; other stages cut as many pieces
    const float *grey;     // (frames, height, stride)
    const float4 *packed;  // (frames, height + 2 MARGIN, width + 2 MARGIN)
    // Per slot and side: COMPONENTS planes of flow (x, y and, with the illumination term, the brightness
    // change), as many of the dual variables' x components, as many of their y components. A stage reads one
    // side and writes the other.
    float *state;
    float *data;         // per slot warped x gradient, y gradient, constant part of the residual
    Axis rows, columns;  // of the resize from the next coarser level
    double threshold;    // converged at this sum of squared changes, px^2

    __device__ float *side(int slot, int which) const {
        return state + (size_t(slot) * 2 + which) * (3 * COMPONENTS) * plane.size();
    }
};

// Where the pair in a slot stands; all begin as zeros.
struct Slot {
    int ahead;  // number of the pair, less that of the slot
    int stage, level;
    int warps, rounds, iterations;  // done on this level, of this warp, since the last median filter
    int side;                       // that holds the state
    int look;  // OPENCV_CUDA: iterations after which the error is looked at next
    int redo;  // iterations to repeat from the other side, where the pair converged in the midst of a tile's
    unsigned finished;  // tiles of this stage
};

struct Queue {
    unsigned taken, appended;  // tiles, those that are there from the beginning not counted as appended
    int begun, done;           // pairs, those in the slots from the beginning not counted as begun
    // Of ITERATE, for benchmarks: tiles; their iterations; iterations of pixels that the result is made of.
    unsigned long long tiles, tile_steps, pixel_steps;
};

constexpr int MOST_LEVELS = 32;

struct Solve {
    Level levels[MOST_LEVELS];
    Slot *slots;
    Queue *queue;
    unsigned long long *ring;  // tiles to be worked on, packed; 0: none yet
    float *errors;             // (slots, most tiles of a level, STEPS): a tile's sums of squared changes
    void *flow;                // result (pairs, 2, height, width), float32 or uint8
    int *clipped;              // (pairs,): flow values beyond the bound
    int finest, slot_count, pairs, capacity;  // capacity: of the ring
    int most_tiles;                           // of a level
    int apart;                                // the second frame of a pair comes so many behind the first
    int warps, rounds, iterations;            // of a level, of a warp, of a round
    int median;                               // whether rounds begin with a median filter
    float step, theta, taut, gamma;  // lambda * theta, theta, tau / theta, weight of the illumination term
    float growth;                    // of the flow from a level to the next finer one
    float bound, scale;              // of the quantisation: px, 127.5 / px; 0: float32 is wanted
};

// A tile of a stage of the pair in a slot: all that a block needs to know to work on it.
struct Tile {
    int slot, level, stage;
    int side, steps;  // that holds the state; iterations to be done
    int number;       // of the tile; -1: all pairs are done

    __device__ unsigned long long pack() const {
        const unsigned low = 1 | stage << 1 | side << 4 | steps << 5 | level << 10 | slot << 16;
        return (unsigned long long)(unsigned)number << 32 | low;
    }
    __device__ void unpack(unsigned long long packed) {
        const unsigned low = unsigned(packed);
        stage = low >> 1 & 7;
        side = low >> 4 & 1;
        steps = low >> 5 & 31;
        level = low >> 10 & 63;
        slot = low >> 16;
        number = int(packed >> 32);
    }
};
static_assert(STEPS < 32 && MOST_LEVELS <= 64, "a tile is packed into 64 bits");

__device__ bool is_first_thread() { return threadIdx.x == 0 && threadIdx.y == 0; }

__device__ int pair_of(const Solve &a, const Tile &tile) { return tile.slot + a.slots[tile.slot].ahead; }

// Takes the next tile from the queue, waiting for it. One thread of a block calls this.
__device__ Tile take_tile(const Solve &a) {
    Tile tile = {};
    const unsigned first = unsigned(a.slot_count) * a.levels[0].tiles;  // are there from the beginning
    const unsigned ticket = atomicAdd(&a.queue->taken, 1u);
    if (ticket < first) {
        tile.slot = ticket % a.slot_count;
        tile.number = ticket / a.slot_count;
        return tile;
    }
    unsigned long long *place = a.ring + (ticket - first) % a.capacity;
    for (;;) {
        const unsigned long long packed = atomicExch(place, 0ull);
        if (packed) {
            fence();  // what the tile's predecessors wrote is seen from here on
            tile.unpack(packed);
            return tile;
        }
        if (atomicAdd(&a.queue->done, 0) == a.pairs) {
            tile.number = -1;
            return tile;
        }
        __nanosleep(50);
    }
}

// Appends all tiles of a stage, `tile` being any of them, from place `at` on. All threads of a block call this.
__device__ void append_tiles(const Solve &a, Tile tile, unsigned at) {
    const int threads = blockDim.x * blockDim.y, tiles = a.levels[tile.level].tiles;
    for (tile.number = threadIdx.y * blockDim.x + threadIdx.x; tile.number < tiles; tile.number += threads) {
        fence();  // each thread's own: what the block has written or seen is seen by who takes this tile
        // A place that a block has a ticket for and has not yet looked at is left to it.
        unsigned long long *place = a.ring + (at + tile.number) % a.capacity;
        while (atomicCAS(place, 0ull, tile.pack())) __nanosleep(50);
    }
}

// Iterations after which OpenCV's CUDA version looks at the error again: it reduces the error by the threshold
// in each iteration, and looks in every second one if what is left is below the threshold.
__device__ int until_next_look(double error, double threshold) {
    return 2 * (int(fmin(error / threshold / 2, 5e8)) + 1);
}

// Iterations, 1...STEPS, after which the error will have fallen to the threshold if it goes on falling at the
// rate of the last of `steps`; it ends with fewer tiles that are taken back, and in the same place.
__device__ int expected_steps(const double *errors, int steps, double threshold) {
    if (steps == 1) return 1;  // as expected, and the error is only just above
    const float above = errors[steps - 1] / threshold, fall = errors[steps - 2] / errors[steps - 1];
    return fall > 1 ? int(fminf(ceilf(logf(above) / logf(fall)), STEPS)) : STEPS;
}

// Moves a pair on to its next stage. One thread of the block that finished the last tile calls this.
//
// tile: that one. errors: of ITERATE, sums of squared changes of its iterations.
// Returns a tile of the next stage, or one of number -1 if no pair is left for the slot.
__device__ Tile advance(const Solve &a, Tile tile, const double *errors) {
    Slot &slot = a.slots[tile.slot];
    bool settled = false;  // the iterations of this warp are over
    int until_settled = STEPS;  // how many more it will take, as far as is known
    switch (slot.stage) {
    case START:
        slot.stage = WARP;
        break;
    case WARP:
        slot.rounds = slot.iterations = 0;
        if (OPENCV_CUDA) slot.look = a.levels[tile.level].threshold > 0 ? 2 : a.iterations + 1;
        slot.stage = a.median ? MEDIAN : ITERATE;
        break;
    case MEDIAN:
        slot.side = 1 - slot.side;
        slot.iterations = 0;
        slot.stage = ITERATE;
        break;
    case ITERATE:
        if (OPENCV_CUDA) {
            const double error = errors[tile.steps - 1], threshold = a.levels[tile.level].threshold;
            slot.side = 1 - slot.side;
            slot.iterations += tile.steps;
            settled = slot.iterations == a.iterations;
            if (slot.iterations == slot.look) {
                settled = settled || !(error > threshold);
                slot.look += until_next_look(error, threshold);
            }
        } else if (slot.redo) {
            slot.redo = 0;
            settled = true;
        } else {
            int wanted = 1;
            while (wanted <= tile.steps && errors[wanted - 1] > a.levels[tile.level].threshold) wanted++;
            slot.side = 1 - slot.side;
            slot.iterations += tile.steps;
            if (wanted < tile.steps) {
                slot.redo = wanted;
            } else if (wanted == tile.steps) {
                settled = true;
            } else if (slot.iterations == a.iterations) {
                slot.rounds++;
                settled = slot.rounds == a.rounds;
                if (!settled) slot.stage = MEDIAN;
            } else {
                until_settled = expected_steps(errors, tile.steps, a.levels[tile.level].threshold);
            }
        }
        break;
    case GROW:
        slot.level++;
        slot.warps = slot.side = 0;
        slot.stage = WARP;
        break;
    case STORE:
        slot.ahead = a.slot_count + atomicAdd(&a.queue->begun, 1) - tile.slot;
        slot.level = slot.warps = slot.side = 0;
        slot.stage = START;
        break;
    }
    if (tile.stage == ITERATE) {
        const Level &level = a.levels[tile.level];
        const unsigned long long pixels = (unsigned long long)level.plane.height * level.plane.width;
        atomicAdd(&a.queue->tiles, (unsigned long long)level.tiles);
        atomicAdd(&a.queue->tile_steps, (unsigned long long)level.tiles * tile.steps);
        if (!slot.redo) atomicAdd(&a.queue->pixel_steps, pixels * tile.steps);  // else they are taken back
    }
    if (settled) {
        slot.warps++;
        slot.stage = slot.warps < a.warps ? WARP : slot.level < a.finest ? GROW : STORE;
    }
    atomicExch(&slot.finished, 0u);
    tile.stage = slot.stage;
    tile.level = slot.level;
    tile.side = slot.redo ? 1 - slot.side : slot.side;
    const int until = OPENCV_CUDA ? min(slot.look, a.iterations) : a.iterations;
    tile.steps = slot.redo ? slot.redo : min(until_settled, until - slot.iterations);
    tile.number = pair_of(a, tile) < a.pairs ? 0 : -1;
    return tile;
}
