/*
 * The log through its public functions: what is written where, before and after
 * its thread runs, and what is lost without a reader.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

static char folder[] = "/tmp/clinch-log-XXXXXX";
static char events[64], access_file[64], moved[64];
static char content[4 << 20];
static struct log *subject;

static void
set_up(void)
{
	cr_assert_not_null(mkdtemp(folder));
	snprintf(events, sizeof(events), "%s/events", folder);
	snprintf(access_file, sizeof(access_file), "%s/access", folder);
	snprintf(moved, sizeof(moved), "%s/moved", folder);
	subject = log_new();
	cr_assert_not_null(subject);
}

static void
tear_down(void)
{
	log_free(subject);
	unlink(events);
	unlink(access_file);
	unlink(moved);
	rmdir(folder);
}

TestSuite(log, .init = set_up, .fini = tear_down, .timeout = 30);

static void
configure(enum log_level level, const char *output, const char *access_to)
{
	struct log_options options = {
		.level = level, .output = output, .access = access_to
	};
	struct err err;

	cr_assert(log_configure(subject, &options, &err), "%s", err.text);
}

static const char *
read_all(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, content + len, sizeof(content) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	content[len] = '\0';
	return content;
}

static const char *
content_of(const char *path)
{
	int fd = open(path, O_RDONLY);

	return fd < 0 ? "" : read_all(fd);
}

static size_t
count(const char *text, const char *what)
{
	size_t found = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		found++;
	return found;
}

static void
start(void)
{
	struct err err;

	cr_assert(log_start(subject, &err), "%s", err.text);
}

static void
end(void)
{
	log_free(subject);
	subject = NULL;
}

Test(log, writes_at_once_before_it_is_started)
{
	configure(LEVEL_NOTICE, events, "off");
	log_notice(subject, "server", "ready", LOG_N("threads", 2));
	cr_expect_eq(
	    count(content_of(events), " notice server ready threads=2\n"), 1);
}

Test(log, shows_what_the_level_lets_through)
{
	configure(LEVEL_WARNING, events, "off");
	log_error(subject, "x", "an error");
	log_warning(subject, "x", "a warning");
	log_notice(subject, "x", "a notice");
	log_debug(subject, "x", "a debug");
	cr_expect(log_may(subject, LEVEL_WARNING));
	cr_expect_not(log_may(subject, LEVEL_NOTICE));
	cr_expect_eq(count(content_of(events), "\n"), 2);
	cr_expect_eq(count(content, "a notice"), 0);
}

Test(log, access_lines_have_their_own_sink)
{
	static const struct {
		const char *what, *to;
		size_t in_events, in_access;
	} rows[] = {
		{ "off", "off", 0, 0 },
		{ "same", "same", 1, 0 },
		{ "a file", access_file, 1, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		configure(LEVEL_ERROR, events, rows[i].to);
		cr_expect_eq(log_has_access(subject), i > 0);
		log_access(subject, LOG_FIELDS(LOG_N("conn", i)), 2);
		cr_expect_eq(count(content_of(events), " access conn="),
		    rows[i].in_events, "%s", rows[i].what);
		cr_expect_eq(count(content_of(access_file), " access conn="),
		    rows[i].in_access, "%s", rows[i].what);
	}
}

Test(log, writes_json)
{
	struct log_options options = { .level = LEVEL_NOTICE,
		.format = LOG_JSON,
		.output = events,
		.access = "off" };

	cr_assert(log_configure(subject, &options, NULL));
	log_notice(subject, "x", "y");
	cr_expect_eq(count(content_of(events), "\"message\":\"y\"}\n"), 1);
}

Test(log, a_bad_path_leaves_the_old_sink)
{
	struct log_options bad = { .level = LEVEL_DEBUG,
		.output = "/nonexistent/log",
		.access = "off" };
	struct err err = { "" };

	configure(LEVEL_NOTICE, events, "off");
	cr_expect_not(log_configure(subject, &bad, &err));
	cr_expect(strstr(err.text, "/nonexistent/log: No such") != NULL, "%s",
	    err.text);
	bad.output = events;
	bad.access = "/nonexistent/access";
	cr_expect_not(log_configure(subject, &bad, &err));
	cr_expect_not(log_may(subject, LEVEL_DEBUG));
	log_notice(subject, "x", "still here");
	cr_expect_eq(count(content_of(events), "still here"), 1);
}

Test(log, distinguishes_words_from_paths)
{
	static const struct {
		const char *given;
		bool expect;
	} rows[] = {
		{ "stderr", false },
		{ "stdout", false },
		{ "syslog", false },
		{ "same", false },
		{ "off", false },
		{ "/var/log/off", true },
		{ "./stderr", true },
		{ "clinch.log", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(log_is_path(rows[i].given), rows[i].expect, "%s",
		    rows[i].given);
}

Test(log, refuses_a_pipe_without_a_reader)
{
	const struct log_options pipe = {
		.level = LEVEL_INFO, .output = "stderr", .access = events
	};
	struct err err = { "" };

	cr_assert_eq(mkfifo(events, 0600), 0);
	cr_expect_not(log_configure(subject, &pipe, &err));
	cr_expect_not_null(strstr(err.text, "no reader"), "%s", err.text);
}

Test(log, reopens_a_file_that_was_moved)
{
	configure(LEVEL_NOTICE, events, "off");
	log_notice(subject, "x", "before");
	cr_assert_eq(rename(events, moved), 0);
	log_notice(subject, "x", "between");
	cr_assert(log_reopen(subject, NULL));
	log_notice(subject, "x", "after");
	cr_expect_eq(count(content_of(moved), "\n"), 2);
	cr_expect_eq(count(content_of(events), "\n"), 1);
	cr_expect_eq(count(content, "after"), 1);
}

Test(log, its_thread_loses_nothing_on_the_way_to_a_file)
{
	const char *at;

	configure(LEVEL_INFO, events, "same");
	start();
	for (int i = 0; i < 2000; i++) {
		log_info(subject, "x", "line", LOG_N("n", 2 * i));
		log_access(subject, LOG_FIELDS(LOG_N("n", 2 * i + 1)), 2);
	}
	cr_expect_eq(log_dropped(subject), 0);
	end();
	at = content_of(events);
	cr_expect_eq(count(at, "\n"), 4000);
	for (int i = 0; i < 4000; i++) {
		char expect[16];

		snprintf(expect, sizeof(expect), " n=%d\n", i);
		at = strstr(at, expect);
		cr_assert_not_null(at, "line %d", i);
	}
}

/* Puts a pipe behind stdout and returns the end to read from. */
static int
stdout_is_pipe(void)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	close(ends[1]);
	return ends[0];
}

/* Writes until lines are lost; returns how many it tried to write. */
static uint64_t
flood(void)
{
	uint64_t tried = 0;

	for (; log_dropped(subject) < 1000 && tried < 1000000; tried++)
		log_info(subject, "x", "a line of the flood");
	return tried;
}

static void
read_in_thread(void *arg)
{
	read_all(*(int *)arg);
}

Test(log, reports_how_many_lines_a_slow_reader_missed)
{
	int reader = stdout_is_pipe();
	struct thread thread = { 0 };
	uint64_t tried, missed = 0;
	const char *at = content;

	configure(LEVEL_INFO, "stdout", "off");
	start();
	tried = flood();
	cr_assert(
	    thread_start(&thread, "reader", read_in_thread, &reader, NULL));
	end();
	close(STDOUT_FILENO);
	thread_join(&thread);
	cr_expect_geq(count(content, " warning log lines dropped"), 1);
	while ((at = strstr(at, " dropped=")) != NULL) {
		at += strlen(" dropped=");
		missed += strtoull(at, NULL, 10);
	}
	cr_expect_eq(count(content, "of the flood\n") + missed, tried);
}

Test(log, keeps_room_for_notice_and_worse)
{
	int reader = stdout_is_pipe();
	uint64_t dropped;

	configure(LEVEL_INFO, "stdout", "off");
	start();
	flood();
	dropped = log_dropped(subject);
	for (int i = 0; i < 100; i++) {
		log_error(subject, "x", "an error");
		log_warning(subject, "x", "a warning");
	}
	cr_expect_eq(log_dropped(subject), dropped);
	log_info(subject, "x", "idle talk");
	cr_expect_eq(log_dropped(subject), dropped + 1);
	close(reader);
}

Test(log, ends_without_a_reader)
{
	int reader = stdout_is_pipe();

	configure(LEVEL_INFO, "stdout", "off");
	start();
	cr_expect_gt(flood(), 1000);
	end();
	close(reader);
}

Test(log, leaves_a_blocked_sink_on_a_reload)
{
	int reader = stdout_is_pipe();

	configure(LEVEL_INFO, "stdout", "off");
	start();
	flood();
	configure(LEVEL_INFO, events, "off");
	log_error(subject, "x", "in the file");
	end();
	cr_expect_eq(count(content_of(events), "in the file\n"), 1);
	cr_expect_eq(strncmp(content, "20", 2), 0, "it begins with a stamp");
	close(reader);
}

Test(log, survives_a_sink_that_breaks)
{
	int reader = stdout_is_pipe();

	thread_block_signals();
	close(reader);
	configure(LEVEL_INFO, "stdout", "off");
	start();
	for (int i = 0; i < 10; i++)
		log_info(subject, "x", "into the void");
	configure(LEVEL_INFO, events, "off");
	log_info(subject, "x", "heard again");
	end();
	cr_expect_eq(count(content_of(events), "heard again\n"), 1);
}

Test(log, accepts_null)
{
	cr_expect_not(log_may(NULL, LEVEL_ERROR));
	cr_expect_not(log_has_access(NULL));
	cr_expect_eq(log_dropped(NULL), 0);
	log_error(NULL, "x", "y", LOG_S("k", "v"));
	log_access(NULL, LOG_FIELDS(LOG_N("n", 1)), 2);
	cr_expect(log_start(NULL, NULL));
	cr_expect(log_reopen(NULL, NULL));
	log_free(NULL);
}
