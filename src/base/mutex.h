/*
 * A mutex with capability attributes, so that clang reports a guarded call
 * without the lock and a path that returns without unlocking.  Every lock of
 * the project is a leaf: with LOCK_CHECKS (sanitizer builds) a thread that
 * takes a second one aborts.  Header only.
 */
#ifndef BASE_MUTEX_H
#define BASE_MUTEX_H

#include <pthread.h>

#include "base/attr.h"
#include "base/thread.h"

struct CAPABILITY("mutex") mutex {
	pthread_mutex_t native;
};

static inline void
mutex_init(struct mutex *mutex)
{
	pthread_mutex_init(&mutex->native, NULL);
}

static inline void
mutex_fini(struct mutex *mutex)
{
	pthread_mutex_destroy(&mutex->native);
}

static inline void
mutex_lock(struct mutex *mutex) ACQUIRES(mutex) NO_THREAD_ANALYSIS
{
	thread_lock_taken();
	pthread_mutex_lock(&mutex->native);
}

static inline void
mutex_unlock(struct mutex *mutex) RELEASES(mutex) NO_THREAD_ANALYSIS
{
	pthread_mutex_unlock(&mutex->native);
	thread_lock_released();
}

#endif
