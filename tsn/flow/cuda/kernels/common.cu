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
