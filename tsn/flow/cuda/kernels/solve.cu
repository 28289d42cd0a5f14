// TV-L1 from the frames' pyramids to the result, by blocks that take tiles from a work queue.

// Sets the flow and the dual variables of a pixel to what a level begins with.
__device__ void begin_pixel(const Level &level, int slot, int y, int x, const float (&flow)[COMPONENTS]) {
    const size_t size = level.plane.size();
    float *state = level.side(slot, 0) + size_t(y) * level.plane.stride + x;
    for (int c = 0; c < COMPONENTS; c++) state[c * size] = flow[c];
    for (int k = COMPONENTS; k < 3 * COMPONENTS; k++) state[k * size] = 0;
}

__device__ void grow_pixel(const Solve &a, const Level &level, const Tile &tile, int y, int x) {
    const Level &finer = a.levels[tile.level + 1];
    const float *coarse = level.side(tile.slot, tile.side);
    float flow[COMPONENTS];
    for (int c = 0; c < COMPONENTS; c++) {
        const float value =
            interpolate(coarse + c * level.plane.size(), level.plane, finer.rows, finer.columns, y, x);
        flow[c] = c < 2 ? value * a.growth : value;  // the change of brightness is no displacement
    }
    begin_pixel(finer, tile.slot, y, x, flow);
}

// Writes the flow as float32, or as uint8 the way tsn.flow.quantise does, counting what is clipped.
__device__ void store_pixel(const Solve &a, const Level &level, const Tile &tile, int pair, int y, int x) {
    const Plane &plane = level.plane;
    const float *flow = level.side(tile.slot, tile.side);
    for (int c = 0; c < 2; c++) {
        const float value = flow[c * plane.size() + size_t(y) * plane.stride + x];
        const size_t at = ((size_t(pair) * 2 + c) * plane.height + y) * plane.width + x;
        if (a.bound > 0) {
            // Rounded after each operation: the bytes are those of the same float32 flow on a CPU.
            const float byte = floorf(__fadd_rn(__fmul_rn(value, a.scale), 128.f));
            static_cast<unsigned char *>(a.flow)[at] = fminf(fmaxf(byte, 0.f), 255.f);
            if (fabsf(value) > a.bound) atomicAdd(a.clipped + pair, 1);
        } else {
            static_cast<float *>(a.flow)[at] = value;
        }
    }
}

// Stages that treat each pixel by itself: a level has as many pieces of equal size as it has tiles.
__device__ void treat_pixels(const Solve &a, const Level &level, const Tile &tile) {
    const Plane &plane = a.levels[tile.stage == GROW ? tile.level + 1 : tile.level].plane;
    const long long pixels = (long long)plane.height * plane.width;
    const int begin = int(pixels * tile.number / level.tiles), end = int(pixels * (tile.number + 1) / level.tiles);
    const int threads = blockDim.x * blockDim.y, pair = pair_of(a, tile);
    const float zero[COMPONENTS] = {};
    for (int k = begin + threadIdx.y * blockDim.x + threadIdx.x; k < end; k += threads) {
        const int y = k / plane.width, x = k % plane.width;
        switch (tile.stage) {
        case START: begin_pixel(level, tile.slot, y, x, zero); break;
        case WARP: warp_pixel(a, level, tile, pair, y, x); break;
        case MEDIAN: median_pixel(level, tile, y, x); break;
        case GROW: grow_pixel(a, level, tile, y, x); break;
        case STORE: store_pixel(a, level, tile, pair, y, x); break;
        }
    }
}

KERNEL_OF(WARPS * 32, BLOCKS, solve, Solve) {
    __shared__ Tile shared_tile, next;
    __shared__ unsigned at;
    __shared__ bool last;
    __shared__ double errors[STEPS];
    if (is_first_thread()) shared_tile = take_tile(a);
    for (;;) {
        __syncthreads();
        const Tile tile = shared_tile;
        if (tile.number < 0) return;
        const Level &level = a.levels[tile.level];
        if (tile.stage == ITERATE) {
            iterate_tile(a, level, tile);
        } else {
            treat_pixels(a, level, tile);
        }
        // One thread's fences stand for all: the barriers order the others' accesses before and after them.
        __syncthreads();
        if (is_first_thread()) {
            fence();
            last = atomicAdd(&a.slots[tile.slot].finished, 1u) == unsigned(level.tiles) - 1;
            if (last) {
                fence();
            } else {
                shared_tile = take_tile(a);
            }
        }
        __syncthreads();
        if (!last) continue;
        if (tile.stage == ITERATE) sum_errors(a, level, tile, errors);
        if (is_first_thread()) {
            next = advance(a, tile, errors);
            if (tile.stage == STORE) atomicAdd(&a.queue->done, 1);
            if (next.number == 0) at = atomicAdd(&a.queue->appended, unsigned(a.levels[next.level].tiles));
        }
        __syncthreads();
        if (next.number == 0) append_tiles(a, next, at);
        __syncthreads();
        if (is_first_thread()) shared_tile = take_tile(a);
    }
}
