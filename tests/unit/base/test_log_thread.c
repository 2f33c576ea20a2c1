/*
 * The log thread and its ring: lines come out whole and in order, and a sink
 * that blocks delays neither the end of the log nor a change of sinks.  The
 * program is linked with write() wrapped, so that a test can block one call as
 * a hanging terminal or file system would.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log_thread.h"

static atomic_int held_fd = -1;
static sem_t let_go;

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
	if (fd == atomic_load(&held_fd))
		sem_wait(&let_go);
	return __real_write(fd, bytes, len);
}

static const struct log_options options = { .output = "/dev/null",
	.access = "off" };

static struct log_thread *
started(int *fd)
{
	struct log_sinks *sinks = log_sinks_open(&options, NULL);
	struct log_thread *log;
	struct err err;

	cr_assert_not_null(sinks);
	*fd = sinks->events.fd;
	log = log_thread_new(sinks);
	cr_assert_not_null(log);
	cr_assert(log_thread_start(log, &err), "%s", err.text);
	return log;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

Test(log_thread, frees_its_sinks_with_itself, .timeout = 20)
{
	int fd;
	struct log_thread *log = started(&fd);

	log_thread_submit(log, LEVEL_NOTICE, "x\n", 2);
	cr_expect(is_open(fd));
	log_thread_free(log);
	cr_expect_not(is_open(fd));
}

Test(log_thread, is_detached_when_blocked_and_frees_itself, .timeout = 20)
{
	int fd;
	struct log_thread *log = started(&fd);

	sem_init(&let_go, 0, 0);
	atomic_store(&held_fd, fd);
	log_thread_submit(log, LEVEL_NOTICE, "x\n", 2);
	log_thread_free(log);
	cr_expect(is_open(fd), "the thread still uses it");
	sem_post(&let_go);
	for (int i = 0; i < 1000 && is_open(fd); i++)
		poll(NULL, 0, 5);
	cr_expect_not(is_open(fd), "the thread has cleaned up");
}

Test(log_thread, a_blocked_sink_delays_no_change_of_sinks, .timeout = 20)
{
	int fd;
	struct log_thread *log = started(&fd);
	struct log_sinks *fresh = log_sinks_open(&options, NULL);

	cr_assert_not_null(fresh);
	sem_init(&let_go, 0, 0);
	atomic_store(&held_fd, fd);
	log_thread_submit(log, LEVEL_NOTICE, "x\n", 2);
	log_thread_publish(log, fresh);
	sem_post(&let_go);
	log_thread_free(log);
	cr_expect_not(is_open(fd));
}

static struct log_ring ring;

static void
set_up(void)
{
	cr_assert(log_ring_init(&ring, 64));
}

static void
tear_down(void)
{
	log_ring_fini(&ring);
}

TestSuite(log_ring, .init = set_up, .fini = tear_down);

static bool
put(uint16_t tag, const char *line)
{
	return log_ring_put(&ring, tag, line, strlen(line));
}

static void
expect_take(size_t max, uint16_t tag, const char *expect)
{
	uint16_t got_tag = 0xffff;
	char got[65] = "";
	size_t len = log_ring_take(&ring, got, max, &got_tag);

	cr_expect_eq(len, strlen(expect), "%s, not %s", got, expect);
	cr_expect_str_eq(got, expect);
	cr_expect_eq(got_tag, tag);
}

Test(log_ring, is_empty_at_first)
{
	uint16_t tag;
	char out[8];

	cr_expect_eq(log_ring_used(&ring), 0);
	cr_expect_eq(log_ring_take(&ring, out, sizeof(out), &tag), 0);
}

Test(log_ring, takes_lines_of_one_tag_together)
{
	cr_expect(put(1, "one\n"));
	cr_expect(put(1, "two\n"));
	cr_expect(put(2, "three\n"));
	expect_take(64, 1, "one\ntwo\n");
	expect_take(64, 2, "three\n");
	cr_expect_eq(log_ring_used(&ring), 0);
}

Test(log_ring, takes_whole_lines_only)
{
	cr_expect(put(1, "one\n"));
	cr_expect(put(1, "two\n"));
	expect_take(7, 1, "one\n");
	expect_take(7, 1, "two\n");
}

Test(log_ring, refuses_what_does_not_fit_and_keeps_the_rest)
{
	cr_expect(put(1, "0123456789012345678901234\n"));
	cr_expect(put(1, "0123456789012345678901234\n"));
	cr_expect_not(put(1, "\n"));
	expect_take(26, 1, "0123456789012345678901234\n");
	cr_expect(put(1, "\n"));
	expect_take(64, 1, "0123456789012345678901234\n\n");
}

Test(log_ring, can_be_filled_to_the_last_byte)
{
	char line[61];

	memset(line, 'x', 60);
	line[60] = '\0';
	cr_expect_not(log_ring_put(&ring, 1, line, 61));
	cr_expect(put(1, line));
	cr_expect_eq(log_ring_used(&ring), 64);
	expect_take(64, 1, line);
}

Test(log_ring, goes_round_and_round)
{
	char line[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "line %d %.*s\n", i, i % 11,
		    "xxxxxxxxxxx");
		cr_assert(put((uint16_t)i, line));
		expect_take(64, (uint16_t)i, line);
	}
}
