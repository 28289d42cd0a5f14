// The inner loop of TV-L1: several iterations of primal and dual updates on a tile in registers.

constexpr int HALO_W = STEPS + STEPS % 2, HALO_H = STEPS;  // a thread holds two columns
constexpr int TILE_W = 64, TILE_H = WARPS * ROWS;
constexpr int APART_W = TILE_W - 2 * HALO_W, APART_H = TILE_H - 2 * HALO_H;  // from a tile to the next one
static_assert(STEPS <= WARPS, "a warp sums a step's errors");
constexpr float TINY = 1.1920929e-7f;  // squared gradients below count as this (OpenCV's calcGradRho)

// Runs up to STEPS iterations on a tile whose state stays in registers. Two columns and ROWS rows are a
// thread's, 64 columns a warp's; neighbours come by shuffles across and through shared memory down.
// The outermost pixels of a tile, its halo, go wrong one by one, and are not written; where a tile ends with
// the frame, it needs none.
//
// A pair that turns out to have converged before the last of these iterations is taken back: the tiles are
// done again from the other side, with the wanted iterations only. The result is that of a look after each.
__device__ void iterate_tile(const Solve &a, const Level &level, const Tile &tile) {
    const int lane = threadIdx.x, warp = threadIdx.y, steps = tile.steps;
    const size_t size = level.plane.size();
    const int height = level.plane.height, width = level.plane.width, stride = level.plane.stride;
    const int tile_x = tile.number % level.across, tile_y = tile.number / level.across;
    const int x = tile_x * APART_W + 2 * lane, y = tile_y * APART_H + warp * ROWS;
    const bool last_column = tile_x == level.across - 1, last_row = tile.number + level.across >= level.tiles;
    // Of the tile, what is written.
    const int first_row = tile_y ? HALO_H : 0, past_row = last_row ? TILE_H : TILE_H - HALO_H;
    const bool useful_column = (!tile_x || 2 * lane >= HALO_W) && (last_column || 2 * lane < TILE_W - HALO_W);

    // Of a component: what the data term's shift is multiplied by, flow, dual variable.
    float g[2][ROWS][2], rho[ROWS][2], inverse[ROWS][2];
    float u[COMPONENTS][ROWS][2], px[COMPONENTS][ROWS][2], py[COMPONENTS][ROWS][2];
    const float *from = level.side(tile.slot, tile.side);
    const float *data = level.data + size_t(tile.slot) * 3 * size;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const bool inside = x < width && y + r < height;
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
    const float across[2] = {x < width - 1 ? 1.f : 0.f, x < width - 2 ? 1.f : 0.f};
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
            for (int c = 0; c < COMPONENTS; c++) {
                left[c] = __shfl_up_sync(~0u, px[c][r][1], 1);
                if (lane == 0) left[c] = 0;  // outside the frame, or in the halo
            }
            const int row = warp * ROWS + r;
            const bool useful_row = row >= first_row && row < past_row;
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
                    if (useful_row && (c < 2 || !OPENCV_CUDA)) error += change * change;
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
                const float down = y + r < height - 1 ? 1.f : 0.f;
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

    float *to = level.side(tile.slot, 1 - tile.side);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int row = warp * ROWS + r;
        const bool useful_row = row >= first_row && row < past_row;
        if (!useful_row || !useful_column || !level.plane.holds(y + r, x)) continue;
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
    const int thread = warp * 32 + lane;
    if (thread < steps) {
        float sum = 0;
        for (int w = 0; w < WARPS; w++) sum += sums[thread][w];
        a.errors[(size_t(tile.slot) * a.most_tiles + tile.number) * STEPS + thread] = sum;
    }
}

// Sums the errors of all tiles of a stage, in a fixed order: total[k] of iteration k. All threads call this.
__device__ void sum_errors(const Solve &a, const Level &level, const Tile &tile, double *total) {
    const int lane = threadIdx.x, warp = threadIdx.y;
    if (warp < tile.steps) {
        const float *errors = a.errors + size_t(tile.slot) * a.most_tiles * STEPS + warp;
        double sum = 0;
        for (int k = lane; k < level.tiles; k += 32) sum += errors[size_t(k) * STEPS];
        for (int apart = 16; apart; apart /= 2) sum += __shfl_xor_sync(~0u, sum, apart);
        if (lane == 0) total[warp] = sum;
    }
    __syncthreads();
}
