/*
 * The thread that cannot be stopped.  This program is linked with its write()
 * wrapped, so that one call can be held as long as the test likes: the case
 * of a terminal or a file system that hangs.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log_sink.h"
#include "base/log_writer.h"

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

static struct log_writer *
started_writer(int *fd)
{
	struct log_sinks *sinks = log_sinks_open(&options, NULL);
	struct log_writer *writer;
	struct err err;

	cr_assert_not_null(sinks);
	*fd = sinks->events.fd;
	writer = log_writer_new(sinks);
	cr_assert_not_null(writer);
	cr_assert(log_writer_start(writer, &err), "%s", err.text);
	return writer;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

Test(log_writer, frees_its_sinks_with_itself, .timeout = 20)
{
	int fd;
	struct log_writer *writer = started_writer(&fd);

	log_writer_submit(writer, LEVEL_NOTICE, "x\n", 2);
	cr_expect(is_open(fd));
	log_writer_free(writer);
	cr_expect_not(is_open(fd));
}

Test(log_writer, is_left_behind_when_stuck_and_frees_itself, .timeout = 20)
{
	int fd;
	struct log_writer *writer = started_writer(&fd);

	sem_init(&let_go, 0, 0);
	atomic_store(&held_fd, fd);
	log_writer_submit(writer, LEVEL_NOTICE, "x\n", 2);
	log_writer_free(writer);
	cr_expect(is_open(fd), "the thread still uses it");
	sem_post(&let_go);
	for (int i = 0; i < 1000 && is_open(fd); i++)
		poll(NULL, 0, 5);
	cr_expect_not(is_open(fd), "the thread has cleaned up");
}

Test(log_writer, a_stuck_sink_delays_no_change_of_sinks, .timeout = 20)
{
	int fd;
	struct log_writer *writer = started_writer(&fd);
	struct log_sinks *fresh = log_sinks_open(&options, NULL);

	cr_assert_not_null(fresh);
	sem_init(&let_go, 0, 0);
	atomic_store(&held_fd, fd);
	log_writer_submit(writer, LEVEL_NOTICE, "x\n", 2);
	log_writer_publish(writer, fresh);
	sem_post(&let_go);
	log_writer_free(writer);
	cr_expect_not(is_open(fd));
}
