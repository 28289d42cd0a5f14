// TV-L1 on a GPU, many pairs of frames at a time: the method of tsn/flow/native, line by line.
//
// Planes are float32, `height` rows of `stride` columns; what lies right of `width` is zero and stays
// so. The state of a level is, per pair and side, COMPONENTS planes of flow (x, y and, with the
// illumination term, the brightness change), then as many of the dual variables' x components and as
// many of their y components. There are two sides: a launch reads one and writes the other. Which
// one holds the state of a pair is written in its `Control`, because pairs converge one by one.
//
// Pairs are independent, sums are taken in a fixed order: the flow of a pair depends on its two frames
// and the parameters alone.
//
// Compiled with COMPONENTS = 2 or 3, and with a "target.h" that says how a kernel begins: KERNEL(name,
// Arguments) gets one structure `a`; KERNEL_OF(threads, ...) also says how many threads a block has.

#include "median_network.h"
#include "target.h"

constexpr int MARGIN = 4;         // zeros around a packed frame, as in tsn/flow/native/warp.py
constexpr float TINY = 1.1920929e-7f;  // squared gradients below count as this (OpenCV's calcGradRho)

constexpr int STEPS = 6;  // iterations of one launch; 30 is a multiple of it
constexpr int HALO = STEPS;
constexpr int WARPS = 16;
constexpr int ROWS = COMPONENTS == 2 ? 4 : 2;  // of a thread, in registers
constexpr int TILE_W = 64, TILE_H = WARPS * ROWS;
constexpr int USEFUL_W = TILE_W - 2 * HALO, USEFUL_H = TILE_H - 2 * HALO;
static_assert(HALO % 2 == 0 && STEPS <= WARPS, "threads hold two columns; a warp sums a step's errors");

constexpr int RUNNING = 0, CONVERGED = -1;

// Where a pair stands within a warp of a level.
struct Control {
    int side;      // that holds its state
    int redo;      // RUNNING, CONVERGED, or: how many iterations of the last launch were wanted
    unsigned arrived;  // blocks that have finished the current launch
    int clipped;   // flow values beyond the bound of the quantisation
};

struct Plane {
    int height, width, stride;
    __device__ size_t size() const { return size_t(height) * stride; }
    __device__ bool holds(int y, int x) const { return x < width && y < height; }
};

__device__ float *side_of(float *state, const Plane &plane, int pair, int side) {
    return state + (size_t(pair) * 2 + side) * (3 * COMPONENTS) * plane.size();
}

// Tells whether the calling block is the last one of its pair in this launch; all threads call it.
__device__ bool is_last_block(Control &control) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicAdd(&control.arrived, 1u) == gridDim.x * gridDim.y - 1;
    }
    __syncthreads();
    __threadfence();
    return last;
}

// ---------------------------------------------------------------------------------------------
// Pyramid

struct Load {
    const void *frames;  // (count, height, width), bytes or float32
    float *grey;
    Plane plane;
    int is_float;
};

KERNEL(load, Load) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.plane.holds(y, x)) return;
    const size_t from = (size_t(blockIdx.z) * a.plane.height + y) * a.plane.width + x;
    const float value = a.is_float ? static_cast<const float *>(a.frames)[from]
                                   : static_cast<const unsigned char *>(a.frames)[from];
    a.grey[blockIdx.z * a.plane.size() + size_t(y) * a.plane.stride + x] = value;
}

// One axis of a linear resize: for every target position two source positions and the second's weight.
struct Axis {
    const int *first, *second;
    const float *weight;
};

struct Resize {
    const float *source;  // planes of items: frames' greys, or a side of pairs' states
    float *target;
    Plane from, to;
    long long source_item, target_item;  // distance between items, in values
    Axis rows, columns;
    const Control *control;  // if not null, the source's side of a pair begins 3 * COMPONENTS planes later
    int planes;
    float factor[3];
};

KERNEL(resize, Resize) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.to.holds(y, x)) return;
    const size_t item = blockIdx.z;
    const float *source = a.source + item * a.source_item;
    if (a.control && a.control[item].side) source += 3 * COMPONENTS * a.from.size();
    const size_t above = size_t(a.rows.first[y]) * a.from.stride;
    const size_t below = size_t(a.rows.second[y]) * a.from.stride;
    const int left = a.columns.first[x], right = a.columns.second[x];
    const float wx = a.columns.weight[x], wy = a.rows.weight[y];
    for (int k = 0; k < a.planes; k++, source += a.from.size()) {
        const float upper = source[above + left] * (1 - wx) + source[above + right] * wx;
        const float lower = source[below + left] * (1 - wx) + source[below + right] * wx;
        a.target[item * a.target_item + k * a.to.size() + size_t(y) * a.to.stride + x] =
            (upper * (1 - wy) + lower * wy) * a.factor[k];
    }
}

struct Pack {
    const float *grey;
    float4 *packed;  // (count, height + 2 MARGIN, width + 2 MARGIN): grey, x and y gradient, 0
    Plane plane;
};

KERNEL(pack, Pack) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.plane.holds(y, x)) return;
    const int height = a.plane.height, width = a.plane.width, stride = a.plane.stride;
    const float *grey = a.grey + blockIdx.z * a.plane.size();
    const int left = max(x - 1, 0), right = min(x + 1, width - 1);
    const int up = max(y - 1, 0), down = min(y + 1, height - 1);
    const size_t row = size_t(y) * stride;
    const size_t at = (size_t(blockIdx.z) * (height + 2 * MARGIN) + y + MARGIN) * (width + 2 * MARGIN);
    a.packed[at + x + MARGIN] = make_float4(
        grey[row + x], .5f * (grey[row + right] - grey[row + left]),
        .5f * (grey[size_t(down) * stride + x] - grey[size_t(up) * stride + x]), 0.f);
}

// ---------------------------------------------------------------------------------------------
// Warp

struct Cubic {
    int start;  // packed index of the first tap
    float weight[4];
};

// OpenCV's interpolateCubic, A = -0.75; what is far outside reads zeros, as what is just outside does.
__device__ Cubic locate(float place, int size) {
    constexpr float A = -0.75f;
    const float whole = floorf(place), t = place - whole, s = 1 - t, far = t + 1;
    Cubic cubic;
    cubic.weight[0] = ((A * far - 5 * A) * far + 8 * A) * far - 4 * A;
    cubic.weight[1] = ((A + 2) * t - (A + 3)) * t * t + 1;
    cubic.weight[2] = ((A + 2) * s - (A + 3)) * s * s + 1;
    cubic.weight[3] = 1 - cubic.weight[0] - cubic.weight[1] - cubic.weight[2];
    cubic.start = int(fminf(fmaxf(whole, 1.f - MARGIN), size + 1.f)) + MARGIN - 1;
    return cubic;
}

struct Warp {
    const float *first;    // grey first frames
    const float4 *second;  // packed second frames
    float *state, *data;   // data: per pair warped x gradient, y gradient, constant part of the residual
    Control *control;
    Plane plane;
};

// Warps the second frame by the flow, linearises the data term there, and starts the iterations anew.
KERNEL(warp, Warp) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const int pair = blockIdx.z;
    if (x == 0 && y == 0) a.control[pair].redo = RUNNING;
    if (!a.plane.holds(y, x)) return;
    const int height = a.plane.height, width = a.plane.width;
    const size_t size = a.plane.size(), at = size_t(y) * a.plane.stride + x;
    const float *flow = side_of(a.state, a.plane, pair, a.control[pair].side) + at;
    const float u1 = flow[0], u2 = flow[size];
    const Cubic across = locate(x + u1, width), down = locate(y + u2, height);
    const int stride = width + 2 * MARGIN;
    const float4 *tap = a.second + size_t(pair) * (height + 2 * MARGIN) * stride +
                        size_t(down.start) * stride + across.start;
    float4 column[4] = {};
    for (int r = 0; r < 4; r++, tap += stride) {
        for (int k = 0; k < 4; k++) {
            column[k].x += tap[k].x * down.weight[r];
            column[k].y += tap[k].y * down.weight[r];
            column[k].z += tap[k].z * down.weight[r];
        }
    }
    float value = 0, gx = 0, gy = 0;
    for (int k = 0; k < 4; k++) {
        value += column[k].x * across.weight[k];
        gx += column[k].y * across.weight[k];
        gy += column[k].z * across.weight[k];
    }
    float *data = a.data + size_t(pair) * 3 * size + at;
    data[0] = gx;
    data[size] = gy;
    data[2 * size] = ((value - gx * u1) - gy * u2) - a.first[pair * size + at];
}

// ---------------------------------------------------------------------------------------------
// Iterations

struct Iterate {
    float *state;
    const float *data;
    Control *control;
    float *errors;  // (pairs, blocks of a pair, STEPS): a block's sums of squared changes
    Plane plane;
    int steps;  // 0...STEPS; 0 only brings back pairs that converged within the last launch
    float step, theta, taut, gamma;  // lambda * theta, theta, tau / theta, weight of the illumination term
    double threshold;                // converged at this sum of squared changes, px^2
};

// Decides, from the errors of all blocks, what becomes of a pair. Called by its last block.
__device__ void conclude(const Iterate &a, Control &control, int pair, int steps) {
    __shared__ double total[STEPS];
    const int lane = threadIdx.x, warp = threadIdx.y, blocks = gridDim.x * gridDim.y;
    if (warp < steps) {
        const float *errors = a.errors + size_t(pair) * blocks * STEPS + warp;
        double sum = 0;
        for (int k = lane; k < blocks; k += 32) sum += errors[size_t(k) * STEPS];
        for (int apart = 16; apart; apart /= 2) sum += __shfl_xor_sync(~0u, sum, apart);
        if (lane == 0) total[warp] = sum;
    }
    __syncthreads();
    if (lane == 0 && warp == 0) {
        int wanted = 0;
        while (wanted < steps && total[wanted] > a.threshold) wanted++;
        control.redo = wanted >= steps ? RUNNING : wanted + 1 == steps ? CONVERGED : wanted + 1;
        control.side = 1 - control.side;
        control.arrived = 0;
    }
}

// Runs up to STEPS iterations on a tile whose state stays in registers. Two columns and ROWS rows are a
// thread's, 64 columns a warp's; neighbours come by shuffles across and through shared memory down.
// The outermost HALO pixels of a tile go wrong one by one, and are not written.
//
// A pair that turns out to have converged before the end of a launch is taken back by the next one, which
// repeats the wanted iterations only: the result is that of a look after each iteration.
KERNEL_OF(WARPS * 32, iterate, Iterate) {
    const int pair = blockIdx.z, lane = threadIdx.x, warp = threadIdx.y;
    Control &control = a.control[pair];
    const int redo = control.redo;
    const int steps = redo > 0 ? redo : a.steps;
    if (redo == CONVERGED || steps == 0) return;
    const int side = redo > 0 ? 1 - control.side : control.side;
    const size_t size = a.plane.size();
    const int height = a.plane.height, width = a.plane.width, stride = a.plane.stride;
    const int x = int(blockIdx.x) * USEFUL_W - HALO + 2 * lane;
    const int y = int(blockIdx.y) * USEFUL_H - HALO + warp * ROWS;

    // Of a component: what the data term's shift is multiplied by, flow, dual variable.
    float g[2][ROWS][2], rho[ROWS][2], inverse[ROWS][2];
    float u[COMPONENTS][ROWS][2], px[COMPONENTS][ROWS][2], py[COMPONENTS][ROWS][2];
    const float *from = side_of(a.state, a.plane, pair, side);
    const float *data = a.data + size_t(pair) * 3 * size;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const bool inside = x >= 0 && x < width && y + r >= 0 && y + r < height;
        const size_t at = inside ? size_t(y + r) * stride + x : 0;
        auto read = [&](const float *plane, float (&values)[2]) {
            const float2 both = inside ? *reinterpret_cast<const float2 *>(plane + at) : make_float2(0, 0);
            values[0] = both.x;
            values[1] = both.y;
        };
        read(data, g[0][r]);
        read(data + size, g[1][r]);
        read(data + 2 * size, rho[r]);
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            read(from + c * size, u[c][r]);
            read(from + (COMPONENTS + c) * size, px[c][r]);
            read(from + (2 * COMPONENTS + c) * size, py[c][r]);
        }
        for (int j = 0; j < 2; j++) {
            inverse[r][j] = 1 / fmaxf(g[0][r][j] * g[0][r][j] + g[1][r][j] * g[1][r][j], TINY);
        }
    }

    // The gradient across an edge is zero, and so is all that lies outside the frame.
    const float across[2] = {x >= 0 && x < width - 1 ? 1.f : 0.f, x >= 0 && x < width - 2 ? 1.f : 0.f};
    const bool useful_column = lane >= HALO / 2 && lane < 32 - HALO / 2;
    __shared__ float2 lower_edge[COMPONENTS][WARPS][32], upper_edge[COMPONENTS][WARPS][32];
    __shared__ float sums[STEPS][WARPS];

    auto show_lower_edge = [&] {
        for (int c = 0; c < COMPONENTS; c++) {
            lower_edge[c][warp][lane] = make_float2(py[c][ROWS - 1][0], py[c][ROWS - 1][1]);
        }
        __syncthreads();
    };
    show_lower_edge();
    for (int k = 0; k < steps; k++) {
        float above[COMPONENTS][2];
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            const float2 edge = warp ? lower_edge[c][warp - 1][lane] : make_float2(0, 0);
            above[c][0] = edge.x;
            above[c][1] = edge.y;
        }
        float error = 0;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            float left[COMPONENTS];
#pragma unroll
            for (int c = 0; c < COMPONENTS; c++) left[c] = __shfl_up_sync(~0u, px[c][r][1], 1);
            const int row = warp * ROWS + r;
            const bool useful_row = row >= HALO && row < TILE_H - HALO;
#pragma unroll
            for (int j = 0; j < 2; j++) {
                float residual = rho[r][j] + (g[0][r][j] * u[0][r][j] + g[1][r][j] * u[1][r][j]);
                if (COMPONENTS == 3) residual += a.gamma * u[COMPONENTS - 1][r][j];
                const float shift = fmaxf(fminf(-residual * inverse[r][j], a.step), -a.step);
#pragma unroll
                for (int c = 0; c < COMPONENTS; c++) {
                    const float before = u[c][r][j];
                    const float along = px[c][r][j] - (j ? px[c][r][0] : left[c]);
                    const float down = py[c][r][j] - (r ? py[c][r > 0 ? r - 1 : 0][j] : above[c][j]);
                    const float moved = before + shift * (c < 2 ? g[c < 2 ? c : 0][r][j] : a.gamma);
                    u[c][r][j] = moved + a.theta * (along + down);
                    const float change = u[c][r][j] - before;
                    if (useful_row) error += change * change;
                }
            }
        }
        if (!useful_column) error = 0;
        for (int apart = 16; apart; apart /= 2) error += __shfl_xor_sync(~0u, error, apart);
        if (lane == 0) sums[k][warp] = error;
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            upper_edge[c][warp][lane] = make_float2(u[c][0][0], u[c][0][1]);
        }
        __syncthreads();
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            const float2 edge = upper_edge[c][warp < WARPS - 1 ? warp + 1 : warp][lane];
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const float right = __shfl_down_sync(~0u, u[c][r][0], 1);
                const float down = y + r >= 0 && y + r < height - 1 ? 1.f : 0.f;
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    const float below = r < ROWS - 1 ? u[c][r < ROWS - 1 ? r + 1 : r][j] : j ? edge.y : edge.x;
                    const float dx = ((j ? right : u[c][r][1]) - u[c][r][j]) * across[j];
                    const float dy = (below - u[c][r][j]) * down;
                    const float shrink = 1 / (1 + a.taut * sqrtf(dx * dx + dy * dy));
                    px[c][r][j] = (px[c][r][j] + a.taut * dx) * shrink;
                    py[c][r][j] = (py[c][r][j] + a.taut * dy) * shrink;
                }
            }
        }
        show_lower_edge();
    }

    float *to = side_of(a.state, a.plane, pair, 1 - side);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int row = warp * ROWS + r;
        const bool useful_row = row >= HALO && row < TILE_H - HALO;
        if (!useful_row || !useful_column || !a.plane.holds(y + r, x)) continue;
        const size_t at = size_t(y + r) * stride + x;
        auto write = [&](float *plane, const float (&values)[2]) {
            *reinterpret_cast<float2 *>(plane + at) = make_float2(values[0], values[1]);
        };
#pragma unroll
        for (int c = 0; c < COMPONENTS; c++) {
            write(to + c * size, u[c][r]);
            write(to + (COMPONENTS + c) * size, px[c][r]);
            write(to + (2 * COMPONENTS + c) * size, py[c][r]);
        }
    }
    const int block = blockIdx.y * gridDim.x + blockIdx.x, thread = warp * 32 + lane;
    if (thread < steps) {
        float sum = 0;
        for (int w = 0; w < WARPS; w++) sum += sums[thread][w];
        a.errors[(size_t(pair) * gridDim.x * gridDim.y + block) * STEPS + thread] = sum;
    }
    if (!is_last_block(control)) return;
    if (redo > 0) {
        if (thread == 0) {
            control.redo = CONVERGED;
            control.arrived = 0;
        }
    } else {
        conclude(a, control, pair, steps);
    }
}

// ---------------------------------------------------------------------------------------------
// Median filter

struct Median {
    float *state;
    Control *control;
    Plane plane;
};

// Filters x and y flow with a 5 x 5 median, edges repeated outwards; the other planes are copied along.
KERNEL(median, Median) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    Control &control = a.control[blockIdx.z];
    if (control.redo == CONVERGED) return;
    const int side = control.side;
    const size_t size = a.plane.size(), at = size_t(y) * a.plane.stride + x;
    const float *from = side_of(a.state, a.plane, blockIdx.z, side);
    float *to = side_of(a.state, a.plane, blockIdx.z, 1 - side);
    if (a.plane.holds(y, x)) {
        for (int c = 0; c < 2; c++) {
            float wire[25];
            for (int column = 0; column < 5; column++) {
                const int from_x = min(max(x + column - 2, 0), a.plane.width - 1);
                for (int row = 0; row < 5; row++) {
                    const int from_y = min(max(y + row - 2, 0), a.plane.height - 1);
                    wire[5 * column + row] = from[c * size + size_t(from_y) * a.plane.stride + from_x];
                }
            }
            MEDIAN_NETWORK(wire)
            to[c * size + at] = wire[MEDIAN_WIRE];
        }
        for (int k = 2; k < 3 * COMPONENTS; k++) to[k * size + at] = from[k * size + at];
    }
    if (is_last_block(control) && threadIdx.x == 0 && threadIdx.y == 0) {
        control.side = 1 - side;
        control.arrived = 0;
    }
}

// ---------------------------------------------------------------------------------------------
// Results

struct Store {
    float *state;
    Control *control;
    void *flow;  // (pairs, 2, height, width), float32 or bytes
    Plane plane;
    float bound;  // of the quantisation, px; 0: float32 is wanted
    float scale;  // 127.5 / bound
};

// Writes the flow as float32, or as bytes the way tsn.flow.quantise does, counting what is cut off.
KERNEL(store, Store) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.plane.holds(y, x)) return;
    Control &control = a.control[blockIdx.z];
    const float *flow = side_of(a.state, a.plane, blockIdx.z, control.side);
    for (int c = 0; c < 2; c++) {
        const float value = flow[c * a.plane.size() + size_t(y) * a.plane.stride + x];
        const size_t at = ((size_t(blockIdx.z) * 2 + c) * a.plane.height + y) * a.plane.width + x;
        if (a.bound > 0) {
            // Rounded after each operation: the bytes are those of the same float32 flow on a CPU.
            const float byte = floorf(__fadd_rn(__fmul_rn(value, a.scale), 128.f));
            static_cast<unsigned char *>(a.flow)[at] = fminf(fmaxf(byte, 0.f), 255.f);
            if (fabsf(value) > a.bound) atomicAdd(&control.clipped, 1);
        } else {
            static_cast<float *>(a.flow)[at] = value;
        }
    }
}
