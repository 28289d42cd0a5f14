// What ThreadSanitizer is told of the threads of a block, if the code is compiled for it; nothing otherwise.
//
// Every thread is a thread to it, too. One access comes before another by launches, by barriers, and by a fence,
// an atomic, an atomic of another thread at the same place and its fence, in that order; shuffles order nothing.
// The threads of a block take turns in random order.

#ifndef WATCHED_TOGETHER
#define WATCHED_TOGETHER 1  // threads of a block that are one to ThreadSanitizer
#endif

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

#define UNSEEN __attribute__((no_sanitize("thread"), noinline))
#define SAVE(place) __builtin_setjmp(place)
#define GO_TO(place) __builtin_longjmp(place, 1)
#define RELEASE(at) __tsan_release(at)
#define ACQUIRE(at) __tsan_acquire(at)
typedef void *Place[5];

// ThreadSanitizer knows no fences: two helpers carry what the thread had done at its last fence to its atomics,
// and what its atomics have met to its next fence.
struct Watch {
    void *own, *giver, *taker;
    char given, taken;
};

UNSEEN static void run_as(void *fiber) { __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync); }
UNSEEN static void now_runs(Watch &watch) { run_as(watch.own); }
UNSEEN static void set_up(Watch &watch, bool is_current = false) {
    watch.own = is_current ? __tsan_get_current_fiber() : __tsan_create_fiber(0);
    if (is_current) return;
    watch.giver = __tsan_create_fiber(0);
    watch.taker = __tsan_create_fiber(0);
}

struct Atomic {
    Watch &watch;
    void *at;
    UNSEEN Atomic(Watch &watch, void *at) : watch(watch), at(at) {
        run_as(watch.giver);
        __tsan_acquire(&watch.given);
        __tsan_release(at);
        run_as(watch.own);
    }
    UNSEEN ~Atomic() {
        run_as(watch.taker);
        __tsan_acquire(at);
        __tsan_release(&watch.taken);
        run_as(watch.own);
    }
};

UNSEEN static void order_by_fence(Watch &watch) {
    __tsan_release(&watch.given);
    __tsan_acquire(&watch.taken);
}

UNSEEN static int in_turn(int k, int count) {
    static thread_local std::vector<int> order;
    static thread_local std::mt19937 random{std::random_device{}()};
    if (int(order.size()) != count) {
        order.resize(count);
        for (int n = 0; n < count; n++) order[n] = n;
    }
    // The rest of the order is shuffled one by one.
    const int other = k + int(random() % unsigned(count - k));
    const int chosen = order[other];
    order[other] = order[k];
    return order[k] = chosen;
}
#else
#define UNSEEN
#define SAVE(place) _setjmp(place)
#define GO_TO(place) _longjmp(place, 1)
#define RELEASE(at)
#define ACQUIRE(at)
typedef jmp_buf Place;

struct Watch {};
struct Atomic {
    Atomic(Watch &, void *) {}
};
static void now_runs(Watch &) {}
static void set_up(Watch &, bool = false) {}
static void order_by_fence(Watch &) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static int in_turn(int k, int) { return k; }
#endif
