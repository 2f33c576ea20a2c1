/* Threads have names and no signals; a second lock is caught. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "base/mutex.h"
#include "base/thread.h"

struct seen {
	char name[32];
	sigset_t blocked;
};

static void
look(void *arg)
{
	struct seen *seen = arg;

	pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
	pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
}

static void
look_from_thread(const char *name, struct seen *seen)
{
	struct thread thread = { 0 };
	struct err err;

	memset(seen, 0, sizeof(*seen));
	cr_assert(
	    thread_start(&thread, name, look, seen, &err), "%s", err.text);
	cr_expect(thread.running);
	thread_join(&thread);
	cr_expect_not(thread.running);
}

Test(thread, carries_its_name_as_far_as_it_fits)
{
	static const struct {
		const char *given, *expect;
	} rows[] = {
		{ "log", "log" },
		{ "fifteen-letters", "fifteen-letters" },
		{ "sixteen-letters-", "sixteen-letters" },
	};
	struct seen seen;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		look_from_thread(rows[i].given, &seen);
		cr_expect_str_eq(
		    seen.name, rows[i].expect, "%s", rows[i].given);
	}
}

Test(thread, receives_no_signal_while_its_starter_does)
{
	sigset_t mine;
	struct seen seen;

	look_from_thread("x", &seen);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	cr_expect(sigismember(&seen.blocked, SIGTERM));
	cr_expect(sigismember(&seen.blocked, SIGHUP));
	cr_expect(sigismember(&seen.blocked, SIGPIPE));
	cr_expect_not(sigismember(&mine, SIGTERM));
}

Test(thread, main_can_block_its_own_signals)
{
	sigset_t mine;

	thread_block_signals();
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	cr_expect(sigismember(&mine, SIGTERM));
}

Test(thread, joining_what_does_not_run_does_nothing)
{
	struct thread thread = { 0 };

	thread_join(&thread);
	thread_detach(&thread);
	cr_expect_not(thread.running);
}

Test(thread, the_same_lock_may_be_taken_again_and_again)
{
	struct mutex mutex;
	int turns = 0;

	mutex_init(&mutex);
	for (int i = 0; i < 3; i++) {
		mutex_lock(&mutex);
		turns++;
		mutex_unlock(&mutex);
	}
	mutex_fini(&mutex);
	cr_expect_eq(turns, 3);
}

#ifdef LOCK_CHECKS
Test(thread, a_second_lock_aborts, .signal = SIGABRT)
{
	struct mutex one, two;

	mutex_init(&one);
	mutex_init(&two);
	mutex_lock(&one);
	mutex_lock(&two);
	mutex_unlock(&two);
	mutex_unlock(&one);
}
#endif
