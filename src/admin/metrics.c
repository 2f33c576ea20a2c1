/*
 * Prometheus metrics.  The thread of the endpoint.
 *
 * Every family is one function: its HELP and TYPE lines, then a line for each
 * series.  Certificates have an `id` label besides their name (the first digits
 * of the SHA-256, as in the log), because two certificates of one name are
 * normal: RSA and ECDSA, or an old one and its renewal.
 */
#include "admin/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/overview.h"

#define ID_DIGITS 8

/* ---- Lines ---- */

static void
family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* name="value", escaped as the format demands; a value that is no UTF-8 has "?"
 * in place of its bytes beyond ASCII. */
static void
label(FILE *out, const char *name, const char *value)
{
	bool is_utf8 = overview_is_utf8(value);

	fprintf(out, "%s=\"", name);
	for (; *value != '\0'; value++)
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '\\' || *value == '"')
			fprintf(out, "\\%c", *value);
		else if (!is_utf8 && (unsigned char)*value >= 0x80)
			fputc('?', out);
		else
			fputc(*value, out);
	fputc('"', out);
}

/* name{label="value"} number */
static void
one(FILE *out, const char *name, const char *key, const char *value,
    uint64_t number)
{
	fprintf(out, "%s{", name);
	label(out, key, value);
	fprintf(out, "} %" PRIu64 "\n", number);
}

/* name{a="...",b="..."} number */
static void
two(FILE *out, const char *name, const char *const keys[2],
    const char *const values[2], uint64_t number)
{
	fprintf(out, "%s{", name);
	label(out, keys[0], values[0]);
	fputc(',', out);
	label(out, keys[1], values[1]);
	fprintf(out, "} %" PRIu64 "\n", number);
}

/* ---- Process ---- */

static void
print_build(FILE *out, const struct overview *overview)
{
	family(out, "clinch_build_info", "gauge",
	    "Version of clinch and of the OpenSSL it runs with.");
	fputs("clinch_build_info{", out);
	label(out, "version", PACKAGE_VERSION);
	fputc(',', out);
	label(out, "openssl", overview->openssl);
	fputs("} 1\n", out);
}

static uint64_t
count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (folder == NULL)
		return 0;
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count > 3 ? count - 3 : 0; /* ".", ".." and the folder's own */
}

/* Fields of /proc/self/stat after the name: proc(5). */
static void
print_memory(FILE *out)
{
	unsigned long long virtual = 0;
	long threads = 0, pages = 0;
	char text[1024];
	FILE *stat = fopen("/proc/self/stat", "re");
	const char *rest;

	if (stat == NULL)
		return;
	text[fread(text, 1, sizeof(text) - 1, stat)] = '\0';
	fclose(stat);
	rest = strrchr(text, ')');
	if (rest == NULL ||
	    sscanf(rest + 1,
		" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		"%*d %*d %ld %*d %*u %llu %ld",
		&threads, &virtual, &pages) != 3)
		return;
	family(out, "process_virtual_memory_bytes", "gauge",
	    "Size of the address space.");
	fprintf(out, "process_virtual_memory_bytes %llu\n", virtual);
	family(
	    out, "process_resident_memory_bytes", "gauge", "Resident memory.");
	fprintf(out, "process_resident_memory_bytes %lld\n",
	    (long long)pages * sysconf(_SC_PAGESIZE));
	family(out, "process_threads", "gauge", "Threads of the process.");
	fprintf(out, "process_threads %ld\n", threads);
}

static void
print_process(FILE *out, const struct overview *overview)
{
	struct rusage usage;
	struct rlimit limit;

	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		family(out, "process_cpu_seconds_total", "counter",
		    "User and system CPU time.");
		fprintf(out, "process_cpu_seconds_total %.6f\n",
		    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			(double)(usage.ru_utime.tv_usec +
				 usage.ru_stime.tv_usec) /
			    1e6);
	}
	print_memory(out);
	family(out, "process_open_fds", "gauge", "Open descriptors.");
	fprintf(out, "process_open_fds %" PRIu64 "\n", count_descriptors());
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		family(out, "process_max_fds", "gauge",
		    "Limit of open descriptors.");
		fprintf(out, "process_max_fds %llu\n",
		    (unsigned long long)limit.rlim_cur);
	}
	family(out, "process_start_time_seconds", "gauge",
	    "Start of the process, seconds since the epoch.");
	fprintf(
	    out, "process_start_time_seconds %" PRId64 "\n", overview->start_s);
}

static void
print_server(FILE *out, const struct overview *overview)
{
	const struct overview_reloads *reloads = &overview->reloads;

	family(out, "clinch_clock_timestamp_seconds", "gauge",
	    "Clock of the process at the scrape.");
	fprintf(out, "clinch_clock_timestamp_seconds %.3f\n",
	    (double)overview->now_ms / 1000);
	family(out, "clinch_ready", "gauge", "Whether /ready answers 200.");
	fprintf(out, "clinch_ready %d\n", overview->ready);
	family(out, "clinch_reloads_total", "counter",
	    "Reloads of the configuration by result.");
	one(out, "clinch_reloads_total", "result", "success",
	    reloads->succeeded);
	one(out, "clinch_reloads_total", "result", "failure", reloads->failed);
	family(out, "clinch_last_reload_successful", "gauge",
	    "Whether the last reload was adopted (1 before the first).");
	fprintf(
	    out, "clinch_last_reload_successful %d\n", !reloads->last_failed);
	family(out, "clinch_log_lines_dropped_total", "counter",
	    "Log lines dropped because a sink blocked.");
	fprintf(out, "clinch_log_lines_dropped_total %" PRIu64 "\n",
	    overview->log_lines_dropped);
}

/* ---- Listeners ---- */

static void
print_connections(FILE *out, const struct overview *overview)
{
	size_t i, k;

	family(out, "clinch_connections", "gauge", "Open connections.");
	for (i = 0; i < overview->listener_count; i++) {
		const struct overview_listener *l = &overview->listeners[i];

		one(out, "clinch_connections", "listener", l->name,
		    l->counts.accepted > l->counts.closed
			? l->counts.accepted - l->counts.closed
			: 0);
	}
	family(out, "clinch_connections_total", "counter",
	    "Ended connections by close reason.");
	for (i = 0; i < overview->listener_count; i++)
		for (k = 0; k < CONN_REASON_COUNT; k++) {
			const struct overview_listener *l =
			    &overview->listeners[i];

			two(out, "clinch_connections_total",
			    (const char *[]){ "listener", "result" },
			    (const char *[]){ l->name,
				conn_reason_name((enum conn_reason)k) },
			    l->counts.ended[k]);
		}
}

static void
handshake(FILE *out, const char *listener, const char *const values[4],
    uint64_t number)
{
	static const char *const keys[] = { "version", "group", "resumed",
		"result" };
	size_t i;

	if (number == 0)
		return;
	fputs("clinch_handshakes_total{", out);
	label(out, "listener", listener);
	for (i = 0; i < 4; i++) {
		fputc(',', out);
		label(out, keys[i], values[i]);
	}
	fprintf(out, "} %" PRIu64 "\n", number);
}

static void
print_handshakes_of(FILE *out, const struct overview_listener *listener)
{
	const struct stats_counts *counts = &listener->counts;
	size_t v, g, r;

	for (v = 0; v < STATS_VERSIONS; v++)
		for (g = 0; g < STATS_GROUPS; g++)
			for (r = 0; r < 2; r++)
				handshake(out, listener->name,
				    (const char *[]){ stats_version_name((
							  enum stats_version)v),
					stats_group_name(g), r ? "yes" : "no",
					"ok" },
				    counts->handshakes[v][g][r]);
	for (r = 0; r < CONN_REASON_COUNT; r++)
		handshake(out, listener->name,
		    (const char *[]){ "none", "none", "no",
			conn_reason_name((enum conn_reason)r) },
		    counts->failed[r]);
}

static void
print_durations_of(FILE *out, const struct overview_listener *listener)
{
	const char *name = "clinch_handshake_duration_seconds";
	const struct stats_counts *counts = &listener->counts;
	uint64_t sum = 0;
	char end[32];
	size_t i;

	for (i = 0; i < STATS_BUCKETS; i++) {
		sum += counts->durations[i];
		snprintf(end, sizeof(end), "%g", stats_bucket_ms(i) / 1000.0);
		fprintf(out, "%s_bucket{", name);
		label(out, "listener", listener->name);
		fprintf(out, ",le=\"%s\"} %" PRIu64 "\n", end, sum);
	}
	sum += counts->durations[STATS_BUCKETS];
	fprintf(out, "%s_bucket{", name);
	label(out, "listener", listener->name);
	fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n%s_sum{", sum, name);
	label(out, "listener", listener->name);
	fprintf(
	    out, "} %.3f\n%s_count{", (double)counts->duration_ms / 1000, name);
	label(out, "listener", listener->name);
	fprintf(out, "} %" PRIu64 "\n", sum);
}

static void
print_handshakes(FILE *out, const struct overview *overview)
{
	size_t i, k;

	family(out, "clinch_handshakes_total", "counter",
	    "Handshakes; result: ok, or the close reason of a failed one.");
	for (i = 0; i < overview->listener_count; i++)
		print_handshakes_of(out, &overview->listeners[i]);
	family(out, "clinch_handshake_duration_seconds", "histogram",
	    "From accept to the end of a handshake that succeeded.");
	for (i = 0; i < overview->listener_count; i++)
		print_durations_of(out, &overview->listeners[i]);
	family(out, "clinch_staples_total", "counter",
	    "Full handshakes by what the client got with the certificate.");
	for (i = 0; i < overview->listener_count; i++)
		for (k = 0; k < STATS_STAPLES; k++)
			two(out, "clinch_staples_total",
			    (const char *[]){ "listener", "outcome" },
			    (const char *[]){ overview->listeners[i].name,
				stats_staple_name((enum stats_staple)k) },
			    overview->listeners[i].counts.staples[k]);
}

static void
print_bytes(FILE *out, const struct overview *overview)
{
	static const char *const keys[] = { "listener", "direction" };
	size_t i;

	family(out, "clinch_bytes_total", "counter",
	    "Payload from clients (in) and to clients (out).");
	for (i = 0; i < overview->listener_count; i++) {
		const struct overview_listener *l = &overview->listeners[i];

		two(out, "clinch_bytes_total", keys,
		    (const char *[]){ l->name, "in" }, l->counts.bytes_in);
		two(out, "clinch_bytes_total", keys,
		    (const char *[]){ l->name, "out" }, l->counts.bytes_out);
	}
}

/* ---- Backends ---- */

typedef uint64_t of_backend_fn(const struct overview_backend *);

static uint64_t
is_up(const struct overview_backend *backend)
{
	return backend->state == BACKEND_STATE_UP;
}

static uint64_t
count_errors(const struct overview_backend *backend)
{
	return backend->errors;
}

static void
backend_lines(FILE *out, const struct overview *overview, const char *name,
    of_backend_fn *value)
{
	size_t i, k;

	for (i = 0; i < overview->listener_count; i++) {
		const struct overview_listener *l = &overview->listeners[i];

		for (k = 0; k < l->backend_count; k++)
			two(out, name,
			    (const char *[]){ "listener", "backend" },
			    (const char *[]){ l->name, l->backends[k].name },
			    value(&l->backends[k]));
	}
}

static void
print_backends(FILE *out, const struct overview *overview)
{
	family(out, "clinch_backend_up", "gauge",
	    "Whether an address of the backend gets clients.");
	backend_lines(out, overview, "clinch_backend_up", is_up);
	family(out, "clinch_backend_errors_total", "counter",
	    "Connects for clients to the backend that failed.");
	backend_lines(
	    out, overview, "clinch_backend_errors_total", count_errors);
}

/* ---- Certificates ---- */

/* The labels that name a certificate, and an opened brace. */
static void
certificate(FILE *out, const char *name, const struct overview_certificate *c)
{
	char id[ID_DIGITS + 1];

	snprintf(id, sizeof(id), "%.*s", ID_DIGITS, c->staple.id);
	fprintf(out, "%s{", name);
	label(out, "certificate", c->staple.name);
	fputc(',', out);
	label(out, "id", id);
}

typedef int64_t time_of_fn(const struct overview_certificate *c);

static int64_t
not_before_of(const struct overview_certificate *c)
{
	return c->not_before;
}

static int64_t
not_after_of(const struct overview_certificate *c)
{
	return c->not_after;
}

static int64_t
this_update_of(const struct overview_certificate *c)
{
	return c->staple.held ? c->staple.this_update : 0;
}

static int64_t
next_update_of(const struct overview_certificate *c)
{
	return c->staple.held ? c->staple.expires : 0;
}

static int64_t
next_fetch_of(const struct overview_certificate *c)
{
	return c->staple.next_try;
}

static int64_t
last_success_of(const struct overview_certificate *c)
{
	return c->staple.last_success;
}

/* A family of times, one for each certificate. */
struct time_row {
	const char *name;
	const char *help;
	time_of_fn *time_of;
	bool serial; /* has that label */
};

static void
print_time(
    FILE *out, const struct overview *overview, const struct time_row *row)
{
	size_t i;

	family(out, row->name, "gauge", row->help);
	for (i = 0; i < overview->certificate_count;
	     i = overview_next_certificate(overview, i)) {
		const struct overview_certificate *c =
		    &overview->certificates[i];

		if (row->time_of(c) == 0)
			continue;
		certificate(out, row->name, c);
		if (row->serial) {
			fputc(',', out);
			label(out, "serial", c->serial);
		}
		fprintf(out, "} %" PRId64 "\n", row->time_of(c));
	}
}

static void
print_times(FILE *out, const struct overview *overview)
{
	static const struct time_row rows[] = {
		{ "clinch_certificate_not_before_timestamp_seconds",
		    "notBefore of the certificate.", not_before_of, true },
		{ "clinch_certificate_not_after_timestamp_seconds",
		    "notAfter of the certificate.", not_after_of, true },
		{ "clinch_staple_this_update_timestamp_seconds",
		    "thisUpdate of the staple that is held.", this_update_of,
		    false },
		{ "clinch_staple_next_update_timestamp_seconds",
		    "From then on the staple that is held is not sent.",
		    next_update_of, false },
		{ "clinch_staple_next_fetch_timestamp_seconds",
		    "When the staple is fetched next.", next_fetch_of, false },
		{ "clinch_staple_last_success_timestamp_seconds",
		    "When a good response was received last.", last_success_of,
		    false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		print_time(out, overview, &rows[i]);
}

static void
print_states(FILE *out, const struct overview *overview)
{
	size_t i;

	family(out, "clinch_staple_wanted", "gauge",
	    "Whether policy requires a staple of the certificate.");
	for (i = 0; i < overview->certificate_count;
	     i = overview_next_certificate(overview, i)) {
		certificate(
		    out, "clinch_staple_wanted", &overview->certificates[i]);
		fprintf(out, "} %d\n", overview->certificates[i].staple.wanted);
	}
	family(out, "clinch_staple_state", "gauge",
	    "State of the staple that is held: good, revoked, expired, "
	    "future.");
	for (i = 0; i < overview->certificate_count;
	     i = overview_next_certificate(overview, i)) {
		const struct overview_certificate *c =
		    &overview->certificates[i];
		const char *state = overview_staple_state(
		    &c->staple, overview->now_ms / 1000);

		if (state == NULL)
			continue;
		certificate(out, "clinch_staple_state", c);
		fputc(',', out);
		label(out, "state", state);
		fputs("} 1\n", out);
	}
}

static void
print_fetches(FILE *out, const struct overview *overview)
{
	size_t i, k;

	family(out, "clinch_staple_fetches_total", "counter",
	    "Attempts to fetch a response by outcome.");
	for (i = 0; i < overview->certificate_count;
	     i = overview_next_certificate(overview, i))
		for (k = 0; k < STAPLE_OUTCOMES; k++) {
			const struct overview_certificate *c =
			    &overview->certificates[i];

			if (c->staple.fetches[k] == 0)
				continue;
			certificate(out, "clinch_staple_fetches_total", c);
			fputc(',', out);
			label(out, "outcome",
			    staple_outcome_name((enum staple_outcome)k));
			fprintf(out, "} %" PRIu32 "\n", c->staple.fetches[k]);
		}
}

static void
print_crls(FILE *out, const struct overview *overview)
{
	size_t i;

	family(out, "clinch_crl_next_update_timestamp_seconds", "gauge",
	    "nextUpdate of a CRL for client certificates.");
	for (i = 0; i < overview->crl_count; i++)
		one(out, "clinch_crl_next_update_timestamp_seconds", "issuer",
		    overview->crls[i].issuer,
		    (uint64_t)overview->crls[i].next_update);
}

char *
metrics_print(const struct overview *overview, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	bool written;

	if (out == NULL)
		return NULL;
	print_build(out, overview);
	print_server(out, overview);
	print_connections(out, overview);
	print_handshakes(out, overview);
	print_bytes(out, overview);
	print_backends(out, overview);
	print_times(out, overview);
	print_states(out, overview);
	print_fetches(out, overview);
	print_crls(out, overview);
	print_process(out, overview);
	written = !ferror(out);
	if (fclose(out) == 0 && written)
		return text;
	free(text);
	return NULL;
}
