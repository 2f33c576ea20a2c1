/*
 * Named threads with every signal blocked: only the main thread receives
 * signals (it blocks them before the first thread starts and reads them from
 * its event loop).  In checking builds (LOCK_CHECKS) each thread also counts
 * the locks it holds and aborts at two.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/attr.h"

struct err;

struct thread {
	pthread_t native;
	bool running; /* owner of the struct only */
};

typedef void thread_fn(void *arg);

/*
 * Start `run(arg)` on a new thread named `name` (at most 15 characters are
 * shown).  All signals are blocked in it.  End it with thread_join or
 * thread_detach.
 */
bool thread_start(struct thread *thread, const char *name, thread_fn *run,
    void *arg, struct err *err) MUST_CHECK;

/* Wait for its end.  Does nothing if it is not running. */
void thread_join(struct thread *thread);

/* Detach it; everything it uses must then belong to it alone. */
void thread_detach(struct thread *thread);

/* Block all signals in the calling thread: called once, first, by main. */
void thread_block_signals(void);

#ifdef LOCK_CHECKS
void thread_lock_taken(void);
void thread_lock_released(void);
#else
static inline void
thread_lock_taken(void)
{
}
static inline void
thread_lock_released(void)
{
}
#endif

#endif
