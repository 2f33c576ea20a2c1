/*
 * Checks of backends: when they begin, and how many are in flight.  A listening
 * socket with a full queue keeps connects undecided; what a check changes is
 * tested in tests/unit/proxy/test_backend.c and test_55_backend_check.py.
 */
#include "runtime/backend_check.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/generation.h"
#include "tests/support/site.h"
#include "tests/support/turn.h"

#define NOW_MS 5000
#define DEADLINE_S 10.0

static const struct first_row {
	const char *what;
	size_t k, n;
	double random;
	int64_t expect_ms;
} first_rows[] = {
	{ "a single one begins at once", 0, 1, 0.0, NOW_MS },
	{ "...or soon", 0, 1, 0.999, NOW_MS + 199 },
	{ "the second of four", 1, 4, 0.0, NOW_MS + 500 },
	{ "the last of four", 3, 4, 0.5, NOW_MS + 1600 },
	{ "one of very many", 5000, 10000, 0.0, NOW_MS + 1000 },
};

Test(backend_check, spreads_first_checks_over_the_interval)
{
	for (size_t i = 0; i < ARRAY_LEN(first_rows); i++) {
		const struct first_row *row = &first_rows[i];

		cr_expect_eq(backend_check_first_ms(
				 NOW_MS, 2000, row->k, row->n, row->random),
		    row->expect_ms, "%s", row->what);
	}
}

static const struct next_row {
	const char *what;
	int64_t start_ms;
	double random;
	int64_t expect_ms;
} next_rows[] = {
	{ "a tenth early", NOW_MS, 0.0, NOW_MS + 1800 },
	{ "a tenth late", NOW_MS, 0.9999, NOW_MS + 2199 },
	{ "counted from the start of the last", NOW_MS - 1000, 0.5,
	    NOW_MS + 1000 },
	{ "at once, after one that took longer", NOW_MS - 9000, 0.5, NOW_MS },
};

Test(backend_check, begins_the_next_after_the_interval)
{
	for (size_t i = 0; i < ARRAY_LEN(next_rows); i++) {
		const struct next_row *row = &next_rows[i];

		cr_expect_eq(backend_check_next_ms(
				 row->start_ms, NOW_MS, 2000, row->random),
		    row->expect_ms, "%s", row->what);
	}
}

/* ---- In flight ---- */

static struct site site;
static struct ev_loop *loop;
static struct log *log_file;
static struct backend_checks *checks;
static uint16_t port;

/* Queues that are full: connects to any address of the machine hang. */
static void
fill_port(void)
{
	struct addr addr = { .len = sizeof(addr.in) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.in.sin_family = AF_INET;
	cr_assert_eq(bind(fd, &addr.sa, addr.len), 0);
	getsockname(fd, &addr.sa, &addr.len);
	cr_assert_eq(listen(fd, 0), 0);
	port = addr_port(&addr);
	addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 4; i++) {
		int client = socket(
		    AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		(void)!connect(client, &addr.sa, addr.len);
	}
}

static void
on_failed(void *arg)
{
	(void)arg;
}

static void
set_up(void)
{
	site_open(&site, 1);
	log_file = log_new();
	loop = ev_loop_new(EVFLAG_AUTO);
	checks = backend_checks_new(loop, log_file, on_failed, NULL, NULL);
	cr_assert_not_null(checks);
	fill_port();
}

static void
tear_down(void)
{
	backend_checks_free(checks);
	log_free(log_file);
	ev_loop_destroy(loop);
	site_close(&site);
}

TestSuite(flight, .init = set_up, .fini = tear_down);

static void
run(double seconds)
{
	turn_loop(loop, seconds);
}

static size_t
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	cr_assert_not_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

/* Run until `count` descriptors are open, or a deadline. */
static void
run_until(size_t count)
{
	for (int i = 0; i < DEADLINE_S / 0.02 && count_descriptors() != count;
	     i++)
		run(0.02);
	cr_expect_eq(count_descriptors(), count);
}

/* A generation with backends on 127.0.0.1 and on. */
static struct generation *
make_generation(int backends, const char *keys)
{
	char text[8192];
	int used = snprintf(text, sizeof(text),
	    "[listener a]\naccept = 127.0.0.1:0\ncert = cert.pem\n"
	    "key = key.pem\nconnect = 127.0.0.1:%u\n"
	    "%s\n",
	    port, keys);
	struct generation *generation;

	for (int i = 1; i < backends; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used,
		    "[host a h%d.example]\nconnect = 127.0.0.%d:%u\n", i, i + 1,
		    port);
	generation = site_build(&site, NULL, text, true);
	cr_assert_not_null(generation);
	return generation;
}

static void
follow(struct generation *generation)
{
	backend_checks_follow(checks, generation);
	generation_unref(generation);
}

Test(flight, is_bounded)
{
	size_t before = count_descriptors();

	follow(make_generation(100, "check = tcp\ncheck_interval = 100ms"));
	run_until(before + 64);
	run(0.3);
	cr_expect_eq(count_descriptors(), before + 64);
	follow(make_generation(1, "check = off"));
	cr_expect_eq(count_descriptors(), before);
}

/* The socket that was opened last. */
static void
read_newest(char out[64])
{
	int unused = dup(0);
	char path[64];

	cr_assert_gt(unused, 0);
	close(unused);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", unused - 1);
	memset(out, 0, 64);
	cr_assert_gt(readlink(path, out, 63), 0);
}

Test(flight, goes_on_over_a_reload)
{
	size_t before = count_descriptors();
	char first[64], second[64];

	follow(make_generation(1, "check = tcp\ncheck_interval = 100ms"));
	run_until(before + 1);
	read_newest(first);
	follow(make_generation(2, "check = tcp\ncheck_interval = 100ms"));
	read_newest(second);
	cr_expect_str_eq(first, second, "it is not begun anew");
	run_until(before + 2);
	follow(make_generation(1, "check = tcp\ncheck_interval = 100ms"));
	cr_expect_eq(count_descriptors(), before + 1, "the other has ended");
}

Test(flight, ends_with_its_timeout)
{
	size_t before = count_descriptors();

	follow(make_generation(
	    1, "check = tcp\ncheck_interval = 2s\ntimeout_connect = 200ms"));
	run_until(before + 1);
	run_until(before);
}
