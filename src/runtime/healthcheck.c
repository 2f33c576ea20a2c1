/*
 * `clinch healthcheck`: handshakes with each listener of a running clinch.  Main
 * thread, the only one, around poll(2).
 *
 * Each listener has a lane.  The handshakes of a lane follow one another,
 * because per_ip_max counts them.  All lanes run at the same time, so that a
 * listener that hangs takes no time from the others.
 */
#include "runtime/healthcheck.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/client.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "config/value.h"
#include "proxy/proxyproto.h"
#include "runtime/healthcheck_plan.h"
#include "runtime/healthcheck_result.h"
#include "tls/probe.h"

enum {
	TIMEOUT_MS = 4000, /* of all lanes together */
	/* Until the next connect to a Unix socket whose queue is full: poll
	 * cannot wait for room in it. */
	QUEUE_FULL_MS = 20,
	NAMES_MAX = 64
};

struct healthcheck_arguments {
	const char *file;
	const char *names[NAMES_MAX]; /* of listeners */
	size_t name_count;            /* 0: all of them */
	uint32_t timeout_ms;
};

enum phase { PHASE_OPEN, PHASE_CONNECT, PHASE_HANDSHAKE, PHASE_DONE };

/* The check of one listener. */
struct lane {
	const struct config_listener *listener;
	struct healthcheck_plan plan;
	size_t at; /* index of the current target */
	enum phase phase;
	int fd; /* -1: none */
	struct probe *probe;
	short events; /* to wait for; 0: wait QUEUE_FULL_MS */

	size_t failures;
	struct err first; /* failure */
};

struct check {
	struct healthcheck_eval eval;
	struct lane *lanes;
	size_t count;
	const struct healthcheck_arguments *arguments;
};

/* ---- One lane ---- */

static struct healthcheck_target *
target_of(const struct lane *lane)
{
	return &lane->plan.targets[lane->at];
}

/* The first failure of a lane is printed; the others are counted. */
static void
fail(struct lane *lane, const struct err *why)
{
	const struct healthcheck_target *target;
	char address[ADDR_TEXT_MAX];

	if (lane->failures++ > 0)
		return;
	lane->first = *why;
	if (lane->at >= lane->plan.count) {
		err_prefix(&lane->first, "listener %s", lane->listener->name);
		return;
	}
	target = target_of(lane);
	addr_print(&target->address, address, sizeof(address));
	err_prefix(&lane->first, "listener %s (%s%s%s)", lane->listener->name,
	    address, target->name[0] != '\0' ? ", " : "", target->name);
}

static void
disconnect(struct lane *lane)
{
	probe_free(lane->probe);
	lane->probe = NULL;
	if (lane->fd >= 0)
		close(lane->fd);
	lane->fd = -1;
	lane->phase = PHASE_OPEN;
}

static void
next_target(struct lane *lane)
{
	disconnect(lane);
	lane->at++;
	if (lane->at >= lane->plan.count)
		lane->phase = PHASE_DONE;
}

static void
fail_system(struct lane *lane, const char *what, int errnum)
{
	struct err err;

	err_set_errno(&err, errnum, "%s", what);
	fail(lane, &err);
	next_target(lane);
}

/* Only a specific address has a source address.  false: the lane has gone on to
 * its next target. */
static bool
bind_source(struct lane *lane)
{
	const struct addr *source = &target_of(lane)->source;
	int on = 1, errnum;

	if (source->len == 0)
		return true;
	(void)setsockopt(
	    lane->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(lane->fd, &source->sa, source->len) == 0)
		return true;
	errnum = errno;
	if (errnum == EADDRNOTAVAIL && lane->listener->bind_early)
		next_target(lane); /* the address is not on this host yet */
	else
		fail_system(lane, "the address cannot be used", errnum);
	return false;
}

/* As finish_connect and step_handshake: true if the lane now waits for its
 * events. */
static bool
open_target(struct lane *lane)
{
	const struct addr *address = &target_of(lane)->address;

	lane->fd = socket(address->sa.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (lane->fd < 0) {
		fail_system(lane, "no socket", errno);
		return false;
	}
	if (!bind_source(lane))
		return false;
	lane->phase = PHASE_CONNECT;
	lane->events = POLLOUT;
	if (connect(lane->fd, &address->sa, address->len) == 0)
		return false;
	if (errno == EINPROGRESS)
		return true;
	if (errno == EAGAIN && addr_is_unix(address)) {
		disconnect(lane);
		lane->events = 0;
		return true;
	}
	fail_system(lane, "no connection", errno);
	return false;
}

/* With proxy_in: a LOCAL header, after which the addresses of the connection
 * count.  The send buffer is empty, so the header fits. */
static bool
send_header(const struct lane *lane)
{
	const struct proxyproto_facts local = { 0 };
	uint8_t header[PROXYPROTO_OUT_MAX];
	size_t len;

	if (!lane->listener->proxy_in)
		return true;
	len = proxyproto_format(PROXY_OUT_V2, &local, header);
	return send(lane->fd, header, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool
finish_connect(struct lane *lane)
{
	const struct healthcheck_target *target = target_of(lane);
	const struct probe_options options = { .name = target->name,
		.kind = target->kind,
		.groups = target->settings->groups,
		.ciphersuites = target->settings->ciphersuites };
	socklen_t len = sizeof(int);
	struct err err;
	int errnum = 0;

	if (getsockopt(lane->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0 ||
	    errnum != 0 || !send_header(lane)) {
		fail_system(
		    lane, "no connection", errnum != 0 ? errnum : errno);
		return false;
	}
	lane->probe = probe_new(lane->fd, &options, &err);
	if (lane->probe == NULL) {
		fail(lane, &err);
		next_target(lane);
		return false;
	}
	lane->phase = PHASE_HANDSHAKE;
	return false;
}

/* The server has no certificate of the kind that was read from the file.  A
 * renewal may have changed the kind, and the server may not use the new file
 * yet: the next try accepts any kind. */
static bool
is_of_other_kind(
    const struct healthcheck_target *target, const struct probe_result *result)
{
	return target->kind != IDENTITY_KINDS && result->end == PROBE_ALERT &&
	       result->alert == PROBE_HANDSHAKE_FAILURE &&
	       result->chain.leaf == NULL;
}

static bool
step_handshake(struct lane *lane, const struct healthcheck_eval *eval)
{
	struct healthcheck_target *target = target_of(lane);
	const struct probe_result *result;
	struct err err;

	switch (probe_step(lane->probe)) {
	case IO_WANT_READ:
		lane->events = POLLIN;
		return true;
	case IO_WANT_WRITE:
		lane->events = POLLOUT;
		return true;
	default:
		break;
	}
	result = probe_result(lane->probe);
	if (is_of_other_kind(target, result)) {
		target->kind = IDENTITY_KINDS;
		disconnect(lane);
		return false;
	}
	if (!healthcheck_evaluate(eval, target, result, &err))
		fail(lane, &err);
	next_target(lane);
	return false;
}

/* Run the steps of a lane until it waits or is done. */
static void
advance(struct lane *lane, const struct healthcheck_eval *eval)
{
	bool waits = false;

	while (!waits)
		switch (lane->phase) {
		case PHASE_OPEN:
			waits = open_target(lane);
			break;
		case PHASE_CONNECT:
			waits = finish_connect(lane);
			break;
		case PHASE_HANDSHAKE:
			waits = step_handshake(lane, eval);
			break;
		case PHASE_DONE:
			return;
		}
}

static void
time_out(struct lane *lane, uint32_t timeout_ms)
{
	char text[VALUE_DURATION_MAX];
	struct err err;

	if (lane->phase == PHASE_DONE)
		return;
	value_format_duration(text, timeout_ms);
	err_set(&err,
	    "no response within %s; the process hangs, or does not accept "
	    "connections (max_connections)",
	    text);
	fail(lane, &err);
	disconnect(lane);
	lane->phase = PHASE_DONE;
}

/* ---- All lanes ---- */

/* Fill in polled and lanes for the lanes that are not done; returns their
 * number.  Lowers *wait_ms if one of them waits without events. */
static size_t
collect(const struct check *check, struct pollfd *polled, struct lane **lanes,
    int *wait_ms)
{
	size_t i, count = 0;

	for (i = 0; i < check->count; i++) {
		struct lane *lane = &check->lanes[i];

		if (lane->phase == PHASE_DONE)
			continue;
		if (lane->events == 0 && *wait_ms > QUEUE_FULL_MS)
			*wait_ms = QUEUE_FULL_MS;
		polled[count] = (struct pollfd){ lane->fd, lane->events, 0 };
		lanes[count++] = lane;
	}
	return count;
}

static void
wait_and_advance(const struct check *check, struct pollfd *polled,
    struct lane **lanes, int64_t deadline_ms)
{
	int64_t left_ms;
	size_t i, count;
	int wait_ms;

	while ((left_ms = deadline_ms - clock_mono_ms()) > 0) {
		wait_ms = (int)(left_ms < 60000 ? left_ms : 60000);
		count = collect(check, polled, lanes, &wait_ms);
		if (count == 0)
			return;
		if (poll(polled, count, wait_ms) < 0 && errno != EINTR)
			return;
		for (i = 0; i < count; i++)
			if (polled[i].revents != 0 || lanes[i]->events == 0)
				advance(lanes[i], &check->eval);
	}
}

/* false: no memory. */
static bool
run(struct check *check)
{
	int64_t deadline_ms = clock_mono_ms() + check->arguments->timeout_ms;
	struct pollfd *polled = calloc(check->count, sizeof(*polled));
	struct lane **lanes = calloc(check->count, sizeof(struct lane *));
	bool fine = polled != NULL && lanes != NULL;
	size_t i;

	for (i = 0; fine && i < check->count; i++)
		advance(&check->lanes[i], &check->eval);
	if (fine)
		wait_and_advance(check, polled, lanes, deadline_ms);
	for (i = 0; fine && i < check->count; i++)
		time_out(&check->lanes[i], check->arguments->timeout_ms);
	free(polled);
	free(lanes);
	return fine;
}

static bool
is_selected(const struct healthcheck_arguments *arguments, const char *name)
{
	for (size_t i = 0; i < arguments->name_count; i++)
		if (strcmp(arguments->names[i], name) == 0)
			return true;
	return arguments->name_count == 0;
}

/* A name of the command line that no listener has; NULL: none. */
static const char *
find_unknown(
    const struct healthcheck_arguments *arguments, const struct config *config)
{
	for (size_t i = 0; i < arguments->name_count; i++) {
		size_t k = 0;

		while (
		    k < config->listener_count &&
		    strcmp(config->listeners[k].name, arguments->names[i]) != 0)
			k++;
		if (k == config->listener_count)
			return arguments->names[i];
	}
	return NULL;
}

static void
plan_lanes(struct check *check)
{
	const struct config *config = check->eval.config;
	struct err err;
	size_t i;

	for (i = 0; i < config->listener_count; i++) {
		struct lane *lane = &check->lanes[check->count];

		if (!is_selected(check->arguments, config->listeners[i].name))
			continue;
		check->count++;
		lane->listener = &config->listeners[i];
		lane->fd = -1;
		if (healthcheck_plan_make(&lane->plan, lane->listener, &err))
			continue;
		fail(lane, &err);
		lane->phase = PHASE_DONE;
	}
}

/* ---- The line of output ---- */

static enum healthcheck_exit
print_unhealthy(const char *why, size_t more)
{
	printf("unhealthy: %s", why);
	if (more > 0)
		printf("; %zu more", more);
	printf("\n");
	return HEALTHCHECK_UNHEALTHY;
}

static enum healthcheck_exit
print_result(const struct check *check)
{
	const char *first = NULL;
	size_t i, failures = 0;

	for (i = 0; i < check->count; i++) {
		if (first == NULL && check->lanes[i].failures > 0)
			first = check->lanes[i].first.text;
		failures += check->lanes[i].failures;
	}
	if (first != NULL)
		return print_unhealthy(first, failures - 1);
	printf("healthy: %zu listener%s\n", check->count,
	    check->count == 1 ? "" : "s");
	return HEALTHCHECK_HEALTHY;
}

static enum healthcheck_exit
check_lanes(struct check *check)
{
	const struct config *config = check->eval.config;
	const char *unknown = find_unknown(check->arguments, config);
	struct err err;

	if (unknown != NULL) {
		err_set(&err, "%s has no listener %s", config->file, unknown);
		return print_unhealthy(err.text, 0);
	}
	check->lanes = calloc(
	    config->listener_count + 1, sizeof(check->lanes[0]));
	if (check->lanes == NULL)
		return print_unhealthy("out of memory", 0);
	plan_lanes(check);
	return run(check) ? print_result(check)
			  : print_unhealthy("out of memory", 0);
}

static enum healthcheck_exit
check_config(
    const struct config *config, const struct healthcheck_arguments *arguments)
{
	struct check check = { .eval = { .config = config,
				   .now_s = clock_wall_ms() / 1000 },
		.arguments = arguments };
	enum healthcheck_exit status;
	struct err ignored;
	size_t i;

	/* Without ca_file an issuer may be missing; its staples count as good. */
	if (!staple_trust_init(
		&check.eval.trust, config->ocsp.ca_file, &ignored))
		check.eval.trust = (struct staple_trust){ 0 };
	check.eval.trust.aia_issuer = config->ocsp.aia_issuer;
	status = check_lanes(&check);
	for (i = 0; i < check.count; i++) {
		disconnect(&check.lanes[i]);
		healthcheck_plan_free(&check.lanes[i].plan);
	}
	free(check.lanes);
	staple_trust_fini(&check.eval.trust);
	return status;
}

/* ---- The admin endpoint ---- */

/* /ready has the first reason in its first line. */
static enum healthcheck_exit
check_endpoint(
    const struct config *config, const struct healthcheck_arguments *arguments)
{
	enum healthcheck_exit status = HEALTHCHECK_HEALTHY;
	struct client_answer answer;
	struct err err;

	if (!client_request(client_find(config), "GET", "/ready",
		arguments->timeout_ms, &answer, &err))
		return print_unhealthy(err.text, 0);
	if (answer.status == 200) {
		puts("healthy: ready");
	} else {
		answer.body[strcspn(answer.body, "\n")] = '\0';
		status = print_unhealthy(answer.body, 0);
	}
	client_answer_free(&answer);
	return status;
}

/* ---- Arguments ---- */

static bool
refuse(const char *what, const char *why)
{
	fprintf(stderr,
	    "clinch healthcheck: %s%s%s\n"
	    "usage: clinch healthcheck [-c FILE] [--listener NAME]... "
	    "[--timeout TIME]\n",
	    what, *why != '\0' ? ": " : "", why);
	return false;
}

static bool
take_timeout(struct healthcheck_arguments *arguments, const char *text)
{
	struct err err;

	return value_read_timeout(&arguments->timeout_ms, text, &err) ||
	       refuse("--timeout", err.text);
}

static bool
take_name(struct healthcheck_arguments *arguments, const char *name)
{
	if (arguments->name_count == NAMES_MAX)
		return refuse(name, "there are too many listeners");
	arguments->names[arguments->name_count++] = name;
	return true;
}

static bool
take_option(struct healthcheck_arguments *arguments, int option)
{
	switch (option) {
	case 'c':
		arguments->file = optarg;
		return true;
	case 'l':
		return take_name(arguments, optarg);
	case 't':
		return take_timeout(arguments, optarg);
	default: /* getopt_long has printed the error */
		return refuse("see clinch(8)", "");
	}
}

static bool
parse(struct healthcheck_arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "listener", required_argument, NULL, 'l' },
		{ "timeout", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (!take_option(arguments, option))
			return false;
	}
	if (optind < argc)
		return refuse(argv[optind], "unexpected argument");
	return true;
}

enum healthcheck_exit
healthcheck_run(int argc, char **argv, const char *file)
{
	struct healthcheck_arguments arguments = { .file = file,
		.timeout_ms = TIMEOUT_MS };
	enum healthcheck_exit status = HEALTHCHECK_UNHEALTHY;
	struct config_errors errors = { { NULL, 0 } };
	const struct config *config;

	if (!parse(&arguments, argc, argv))
		return HEALTHCHECK_UNHEALTHY;
	signal(SIGPIPE, SIG_IGN);
	config = config_load(arguments.file, &errors);
	if (config != NULL && arguments.name_count == 0 && client_find(config))
		status = check_endpoint(config, &arguments);
	else if (config != NULL)
		status = check_config(config, &arguments);
	else if (errors.list.count > 0)
		status = print_unhealthy(
		    errors.list.items[0], errors.list.count - 1);
	else
		status = print_unhealthy("the configuration cannot be read", 0);
	config_errors_free(&errors);
	config_unref(config);
	return status;
}
