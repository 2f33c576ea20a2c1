/*
 * Several threads log without a pause while main changes sinks and formats.
 * First to files: at the end every line is there or counted as dropped.  Then
 * to a pipe without a reader: all threads must end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

enum { WRITERS = 4, LINES = 4000, CHANGES = 300 };

static void
fail(const char *what)
{
	fprintf(stderr, "race/log: %s\n", what);
	exit(1);
}

static void
hammer(void *arg)
{
	struct log *log = arg;

	for (int i = 0; i < LINES; i++) {
		log_info(log, "race", "a line", LOG_S("key", "two words"),
		    LOG_N("n", i));
		log_access(log, LOG_FIELDS(LOG_N("n", i)), 2);
		(void)log_dropped(log);
	}
}

static void
start_all(struct thread *threads, struct log *log)
{
	for (int i = 0; i < WRITERS; i++) {
		if (!thread_start(&threads[i], "writer", hammer, log, NULL))
			fail("no thread");
	}
}

static void
join_all(struct thread *threads)
{
	for (int i = 0; i < WRITERS; i++)
		thread_join(&threads[i]);
}

static void
configure(struct log *log, enum log_format format, const char *output,
    const char *access_to)
{
	struct log_options options = { .level = LEVEL_INFO,
		.format = format,
		.output = output,
		.access = access_to };
	struct err err = { "" };

	if (!log_configure(log, &options, &err))
		fail(err.text);
}

static void
change(struct log *log, const char *one, const char *two)
{
	for (int i = 0; i < CHANGES; i++) {
		configure(log, i % 2 ? LOG_JSON : LOG_TEXT, i % 3 ? one : two,
		    i % 5 ? "same" : two);
		if (!log_reopen(log, NULL))
			fail("cannot reopen");
	}
}

/* Counts the lines of the writers in a file. */
static uint64_t
count(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[4096];
	uint64_t found = 0;

	if (file == NULL)
		fail("a file is missing");
	while (fgets(line, sizeof(line), file) != NULL)
		found += strstr(line, " n=") || strstr(line, "\"n\":");
	fclose(file);
	return found;
}

static void
race_to_files(const char *one, const char *two)
{
	struct thread threads[WRITERS] = { 0 };
	struct log *log = log_new();
	uint64_t dropped;

	configure(log, LOG_TEXT, one, "same");
	if (!log_start(log, NULL))
		fail("the log does not start");
	start_all(threads, log);
	change(log, one, two);
	join_all(threads);
	dropped = log_dropped(log);
	log_free(log);
	if (count(one) + count(two) + dropped != WRITERS * LINES * 2)
		fail("lines are missing");
}

static void
race_to_full_pipe(const char *file)
{
	struct thread threads[WRITERS] = { 0 };
	struct log *log = log_new();
	int ends[2];

	if (pipe(ends) != 0 || dup2(ends[1], STDOUT_FILENO) < 0)
		fail("no pipe");
	close(ends[1]);
	configure(log, LOG_TEXT, "stdout", "same");
	if (!log_start(log, NULL))
		fail("the log does not start");
	start_all(threads, log);
	change(log, "stdout", file);
	configure(log, LOG_TEXT, "stdout", "same");
	join_all(threads);
	hammer(log);
	log_free(log);
	close(ends[0]);
}

int
main(void)
{
	char folder[] = "/tmp/clinch-race-XXXXXX";
	char one[64], two[64];

	if (mkdtemp(folder) == NULL)
		fail("no folder");
	snprintf(one, sizeof(one), "%s/one", folder);
	snprintf(two, sizeof(two), "%s/two", folder);
	race_to_files(one, two);
	race_to_full_pipe(two);
	unlink(one);
	unlink(two);
	rmdir(folder);
	return 0;
}
