// CUDA on a CPU, for testing kernels where there is no GPU. The blocks of a small launch run in parallel, each
// in a thread of the system, and in whatever order that gives them; those of a large one run one after the
// other. The threads of a block are coroutines that change places at barriers and shuffles. Every thread has
// its own registers and stack, so the kernels run as they are written.
//
// Beyond what a GPU would notice: a barrier that not all threads of a block reach ends the process; and, where
// it is compiled with -fsanitize=thread, accesses that only luck orders: see watch.h.

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <ucontext.h>

#include <random>
#include <thread>
#include <vector>

#define __device__
#define __shared__ static thread_local

struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct Index { unsigned x, y, z; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline void __nanosleep(unsigned) { sched_yield(); }

static thread_local Index threadIdx, blockIdx, blockDim, gridDim;

#include "watch.h"

struct Thread {
    ucontext_t start;
    Place place;
    bool started, ended;
    char *stack;
};

constexpr int MOST_THREADS = 1024, STACK = 1 << 16;
constexpr unsigned MOST_PARALLEL = 4;  // blocks of a launch
static thread_local Thread threads[MOST_THREADS];
static thread_local Watch watches[MOST_THREADS];
static thread_local Place scheduler;
static thread_local Watch scheduler_watch;
static thread_local int current, alive, waiting;
static thread_local long turn;                                  // of the barrier of the block
static thread_local int warp_waiting[32];
static thread_local long warp_turn[32];
static thread_local char exchange[MOST_THREADS][8];             // what the threads of a warp show each other
static char all_blocks;                                         // a place for RELEASE and ACQUIRE
static thread_local void (*body)(const void *);
static thread_local const void *arguments;

static Watch &watch_of(int thread) { return watches[thread / WATCHED_TOGETHER]; }

template <typename T> T atomicAdd(T *at, T value) {
    const Atomic atomic(watch_of(current), at);
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
template <typename T> T atomicExch(T *at, T value) {
    const Atomic atomic(watch_of(current), at);
    return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}
template <typename T> T atomicCAS(T *at, T expected, T value) {
    const Atomic atomic(watch_of(current), at);
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
static inline void fence() { order_by_fence(watch_of(current)); }

UNSEEN static void back_to_scheduler() {
    now_runs(scheduler_watch);
    GO_TO(scheduler);
}

UNSEEN static void give_way() {
    const Index mine = threadIdx;
    if (!SAVE(threads[current].place)) back_to_scheduler();
    threadIdx = mine;
}

UNSEEN static void run_thread() {
    body(arguments);
    threads[current].ended = true;
    RELEASE(&all_blocks);
    if (--alive && waiting == alive) { waiting = 0; turn++; }  // who has ended is not waited for
    back_to_scheduler();
}

UNSEEN static void __syncthreads() {
    static thread_local char meeting[2];  // threads may be a barrier apart
    const long mine = turn;
    RELEASE(&meeting[mine % 2]);
    if (++waiting == alive) { waiting = 0; turn++; }
    while (turn == mine) give_way();
    ACQUIRE(&meeting[mine % 2]);
}

UNSEEN static void wait_for_warp() {
    const int warp = current / 32;
    const long mine = warp_turn[warp];
    if (++warp_waiting[warp] == 32) { warp_waiting[warp] = 0; warp_turn[warp]++; }
    while (warp_turn[warp] == mine) give_way();
}

template <typename T> UNSEEN T shuffle(T value, int lane) {
    const int first = current / 32 * 32;
    __builtin_memcpy(exchange[current], &value, sizeof value);
    wait_for_warp();
    if (lane >= 0 && lane < 32) __builtin_memcpy(&value, exchange[first + lane], sizeof value);
    wait_for_warp();
    return value;
}
template <typename T> T __shfl_up_sync(unsigned, T value, int by) { return shuffle(value, current % 32 - by); }
template <typename T> T __shfl_down_sync(unsigned, T value, int by) { return shuffle(value, current % 32 + by); }
template <typename T> T __shfl_xor_sync(unsigned, T value, int by) { return shuffle(value, current % 32 ^ by); }

UNSEEN static void run_block() {
    const int count = int(blockDim.x * blockDim.y);
    alive = count;
    waiting = 0;
    memset(warp_waiting, 0, sizeof warp_waiting);
    set_up(scheduler_watch, true);
    for (int t = 0; t < count; t++) {
        if (!threads[t].stack) threads[t].stack = static_cast<char *>(malloc(STACK));
        threads[t].started = threads[t].ended = false;
    }
    for (int t = 0; t < count; t += WATCHED_TOGETHER) set_up(watch_of(t));
    // A round in which nobody gets on means a barrier that will never be complete.
    for (int idle = 0; alive; idle++) {
        const int before = alive;
        const long turn_before = turn;
        for (volatile int k = 0; k < count; k++) {
            const int t = in_turn(k, count);
            Thread &thread = threads[t];
            if (thread.ended) continue;
            current = t;
            if (SAVE(scheduler)) continue;
            now_runs(watch_of(t));
            if (thread.started) GO_TO(thread.place);
            thread.started = true;
            threadIdx = {unsigned(t) % blockDim.x, unsigned(t) / blockDim.x, 0};
            getcontext(&thread.start);
            thread.start.uc_stack.ss_sp = thread.stack;
            thread.start.uc_stack.ss_size = STACK;
            thread.start.uc_link = nullptr;
            makecontext(&thread.start, run_thread, 0);
            setcontext(&thread.start);
        }
        if (alive != before || turn != turn_before) idle = 0;
        if (idle > 4096) {
            fprintf(stderr, "a barrier was not reached by all threads of a block\n");
            abort();
        }
    }
}

static void run_blocks(void (*kernel)(const void *), const void *a, Index grid, Index block, unsigned first,
                       unsigned count) {
    body = kernel;
    arguments = a;
    gridDim = grid;
    blockDim = block;
    for (unsigned k = first; k < first + count; k++) {
        blockIdx = {k % grid.x, k / grid.x % grid.y, k / grid.x / grid.y};
        run_block();
    }
}

static void run(void (*kernel)(const void *), const void *a, Index grid, Index block) {
    const unsigned count = grid.x * grid.y * grid.z;
    if (count > MOST_PARALLEL) return run_blocks(kernel, a, grid, block, 0, count);
    std::vector<std::thread> parallel;
    for (unsigned k = 0; k < count; k++) {
        parallel.emplace_back([=] {
            run_blocks(kernel, a, grid, block, k, 1);
            for (Thread &thread : threads) free(thread.stack);
        });
    }
    for (std::thread &thread : parallel) thread.join();
    ACQUIRE(&all_blocks);
}

#define SIZE_OF(Structure) extern "C" unsigned size_of_##Structure() { return sizeof(Structure); }

#define KERNEL(name, Arguments)                                                                            \
    static void name(const Arguments a);                                                                    \
    SIZE_OF(Arguments)                                                                                      \
    extern "C" void emulate_##name(const Arguments *a, unsigned gx, unsigned gy, unsigned gz, unsigned bx,  \
                                   unsigned by) {                                                           \
        run([](const void *given) { name(*static_cast<const Arguments *>(given)); }, a, {gx, gy, gz},       \
            {bx, by, 1});                                                                                   \
    }                                                                                                       \
    static void name(const Arguments a)
#define KERNEL_OF(threads, blocks, name, Arguments) KERNEL(name, Arguments)
