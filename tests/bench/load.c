/*
 * The load generator: many TLS clients against one address, on one thread.  It
 * runs until its standard input ends, and for each line it reads there it
 * writes one line of counters.  Rates, CPU seconds and ratios are computed by
 * the program that reads them.
 */
#include "load.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EVENTS = 64, OVERDUE = 10 };

static const struct mode *const modes[] = {
	&mode_handshake,
	&mode_ping,
	&mode_latency,
	&mode_idle,
	&mode_download,
	&mode_upload,
};

static const char usage[] =
    "usage: load --mode handshake|ping|latency|idle|download|upload\n"
    "            --connect ADDRESS:PORT [--tls 1.2|1.3] [--clients N]\n"
    "            [--size BYTES] [--rate PER_SECOND] [--resume] [--status]\n"
    "            [--count EXCHANGES] [--group NAME]\n";

static const struct mode *
find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (strcmp(modes[i]->name, name) == 0)
			return modes[i];
	return NULL;
}

static bool
take_option(struct options *o, int key, const char *value)
{
	switch (key) {
	case 'm':
		o->mode = find_mode(value);
		return o->mode != NULL;
	case 'c':
		o->connect = value;
		return true;
	case 't':
		o->tls = strcmp(value, "1.2") ? TLS1_3_VERSION : TLS1_2_VERSION;
		return true;
	case 'n':
		o->clients = strtoul(value, NULL, 10);
		return o->clients > 0;
	case 's':
		o->size = strtoul(value, NULL, 10);
		return o->size > 0 && o->size <= LOAD_SCRATCH;
	case 'r':
		o->rate = (unsigned)strtoul(value, NULL, 10);
		return o->rate > 0 && o->rate <= 1000000;
	case 'k':
		o->count = strtoull(value, NULL, 10);
		return o->count > 0;
	case 'g':
		o->group = value;
		return true;
	case 'R':
		o->resume = true;
		return true;
	case 'S':
		o->status = true;
		return true;
	default:
		return false;
	}
}

static bool
read_options(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "connect", required_argument, NULL, 'c' },
		{ "tls", required_argument, NULL, 't' },
		{ "clients", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 's' },
		{ "rate", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'k' },
		{ "group", required_argument, NULL, 'g' },
		{ "resume", no_argument, NULL, 'R' },
		{ "status", no_argument, NULL, 'S' },
		{ 0 },
	};
	int key;

	*o = (struct options){
		.tls = TLS1_3_VERSION,
		.clients = 1,
		.size = 64,
		.rate = 1000,
		.group = "X25519",
	};
	while ((key = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (!take_option(o, key, optarg))
			return false;
	return o->mode && o->connect && optind == argc;
}

static bool
listen_to(struct load *l, int fd, void *tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = tag };

	return fd >= 0 && epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static int
open_timer(unsigned rate)
{
	long ns = (long)(1000000000u / rate);
	struct timespec every = { ns / 1000000000, ns % 1000000000 };
	struct itimerspec when = { every, every };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &when, NULL);
	return fd;
}

/* The latency below which this share of the answers came, in us. */
static unsigned
percentile(const struct load *l, double share)
{
	uint64_t total = 0, seen = 0;
	unsigned us = 0;

	for (unsigned i = 0; i < LOAD_BINS; i++)
		total += l->latency[i];
	for (; us < LOAD_BINS - 1; us++) {
		seen += l->latency[us];
		if ((double)seen >= share * (double)total)
			break;
	}
	return us;
}

static void
report(struct load *l)
{
	const struct counters *n = &l->count;

	printf("ops=%" PRIu64 " bytes=%" PRIu64 " errors=%" PRIu64
	       " open=%" PRIu64 " full=%" PRIu64 " resumed=%" PRIu64
	       " stapled=%" PRIu64,
	    n->ops, n->bytes, n->errors, n->open, n->full, n->resumed,
	    n->stapled);
	if (l->options.mode->paced)
		printf(
		    " p50=%u p99=%u", percentile(l, 0.5), percentile(l, 0.99));
	printf(" %s why=%s\n", l->what, l->why[0] ? l->why : "-");
	fflush(stdout);
	memset(l->latency, 0, LOAD_BINS * sizeof *l->latency);
}

/* One report per line; false at the end of the input. */
static bool
answer_questions(struct load *l)
{
	char line[256];
	ssize_t n = read(STDIN_FILENO, line, sizeof line);

	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\n')
			report(l);
	return n > 0;
}

static void
tick(struct load *l, int timer)
{
	uint64_t due = 0;

	if (read(timer, &due, sizeof due) != sizeof due)
		return;
	/* After a stop, what is overdue is not caught up with. */
	if (due > OVERDUE)
		due = OVERDUE;
	while (due--)
		exchange_tick(l);
}

static void
run(struct load *l, int timer)
{
	struct epoll_event ev[EVENTS];
	bool running = true;

	while (running) {
		int n = epoll_wait(l->epoll, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == l)
				running = answer_questions(l);
			else if (ev[i].data.ptr == &l->turn)
				tick(l, timer);
			else
				client_step(ev[i].data.ptr);
		}
	}
}

static bool
prepare(struct load *l)
{
	const struct options *o = &l->options;

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->ctx = client_context(o);
	l->clients = calloc(o->clients, sizeof *l->clients);
	l->latency = calloc(LOAD_BINS, sizeof *l->latency);
	if (l->epoll < 0 || !l->ctx || !l->clients || !l->latency)
		return false;
	memset(l->message, o->mode->command, sizeof l->message);
	for (size_t i = 0; i < o->clients; i++) {
		l->clients[i].load = l;
		l->clients[i].fd = -1;
	}
	return listen_to(l, STDIN_FILENO, l);
}

static void
release(struct load *l)
{
	for (size_t i = 0; l->clients && i < l->opened; i++) {
		client_close(&l->clients[i]);
		SSL_SESSION_free(l->clients[i].session);
	}
	free(l->clients);
	free(l->latency);
	SSL_CTX_free(l->ctx);
	if (l->epoll >= 0)
		close(l->epoll);
	free(l);
}

int
main(int argc, char **argv)
{
	struct load *l = calloc(1, sizeof *l);
	int timer = -1;
	int status = 1;

	signal(SIGPIPE, SIG_IGN);
	if (!l || !read_options(&l->options, argc, argv)) {
		fputs(usage, stderr);
		free(l);
		return 2;
	}
	if (!prepare(l)) {
		fputs("load: cannot start\n", stderr);
		goto out;
	}
	if (l->options.mode->paced) {
		timer = open_timer(l->options.rate);
		if (!listen_to(l, timer, &l->turn))
			goto out;
	}
	while (l->opened < l->options.clients && l->opened < LOAD_OPENING)
		client_open(&l->clients[l->opened++]);
	run(l, timer);
	status = 0;
out:
	release(l);
	return status;
}
