/*
 * Starting and ending threads.  All signals are blocked around pthread_create,
 * because a new thread inherits the signal mask and must not receive a signal
 * before it could block it.
 */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

/* The new thread frees it.  Not in struct thread, so that a detached thread
 * does not depend on the memory of the one that started it. */
struct start {
	thread_fn *run;
	void *arg;
	char name[16]; /* the kernel's limit, with the terminator */
};

static void *
begin(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	pthread_setname_np(pthread_self(), start.name);
	start.run(start.arg);
	return NULL;
}

/* Returns the errno of pthread_create, 0 on success. */
static int
create_masked(pthread_t *native, struct start *start)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(native, NULL, begin, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

bool
thread_start(struct thread *thread, const char *name, thread_fn *run, void *arg,
    struct err *err)
{
	struct start *start = calloc(1, sizeof(*start));
	int failed;

	if (start == NULL) {
		err_set(err, "no memory to start the %s thread", name);
		return false;
	}
	start->run = run;
	start->arg = arg;
	snprintf(start->name, sizeof(start->name), "%s", name);
	failed = create_masked(&thread->native, start);
	if (failed != 0) {
		err_set_errno(err, failed, "cannot start the %s thread", name);
		free(start);
	}
	thread->running = failed == 0;
	return thread->running;
}

void
thread_join(struct thread *thread)
{
	if (!thread->running)
		return;
	pthread_join(thread->native, NULL);
	thread->running = false;
}

void
thread_detach(struct thread *thread)
{
	if (!thread->running)
		return;
	pthread_detach(thread->native);
	thread->running = false;
}

void
thread_block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
}

#ifdef LOCK_CHECKS
static _Thread_local int locks_held;

void
thread_lock_taken(void)
{
	if (locks_held != 0) {
		fputs("a lock is taken while another one is held\n", stderr);
		abort();
	}
	locks_held++;
}

void
thread_lock_released(void)
{
	locks_held--;
}
#endif
