/*
 * The document of /status.  The thread of the endpoint.
 *
 * jansson builds the document as a tree before it is printed.  That takes some
 * memory with thousands of certificates, for as long as one answer takes, and
 * no escaping of ours can be wrong.
 */
#include "admin/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "admin/overview.h"

/* 0 is "none". */
static json_t *
time_or_null(int64_t time_s)
{
	return time_s ? json_integer(time_s) : json_null();
}

/* Paths and names may be no UTF-8, which JSON demands: their bytes beyond ASCII
 * are replaced then. */
static json_t *
text_of(const char *text)
{
	char *copy, *at;
	json_t *value;

	if (overview_is_utf8(text))
		return json_string(text);
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (at = copy; *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

static json_t *
text_or_null(const char *text)
{
	return text && text[0] ? text_of(text) : json_null();
}

/* Counters above zero, by name. */
static void
put_count(json_t *object, const char *name, uint64_t count)
{
	if (count > 0)
		json_object_set_new(
		    object, name, json_integer((json_int_t)count));
}

/* ---- Listeners ---- */

static json_t *
print_backend(const struct overview_backend *backend)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:b, s:I, s:I, s:I, s:o, s:o}",
	    "name", text_of(backend->name), "host", text_or_null(backend->host),
	    "state", overview_backend_state_name(backend->state), "since",
	    time_or_null(backend->since_s), "checked", backend->checked,
	    "addresses", (json_int_t)backend->addresses, "resting",
	    (json_int_t)backend->resting, "errors", (json_int_t)backend->errors,
	    "error", text_or_null(backend->error), "error_time",
	    time_or_null(backend->error_s));
}

static json_t *
print_handshakes(const struct stats_counts *counts)
{
	uint64_t resumed = 0, ok = 0, failed = 0;
	size_t v, g, r;

	for (v = 0; v < STATS_VERSIONS; v++)
		for (g = 0; g < STATS_GROUPS; g++) {
			ok += counts->handshakes[v][g][0];
			resumed += counts->handshakes[v][g][1];
		}
	for (r = 0; r < CONN_REASON_COUNT; r++)
		failed += counts->failed[r];
	ok += resumed;
	return json_pack("{s:I, s:I, s:I, s:I}", "ok", (json_int_t)ok,
	    "resumed", (json_int_t)resumed, "failed", (json_int_t)failed,
	    "duration_ms", (json_int_t)counts->duration_ms);
}

static json_t *
print_ended(const struct stats_counts *counts)
{
	json_t *ended = json_object();
	size_t i;

	for (i = 0; i < CONN_REASON_COUNT; i++)
		put_count(ended, conn_reason_name((enum conn_reason)i),
		    counts->ended[i]);
	return ended;
}

static json_t *
print_staples(const struct stats_counts *counts)
{
	json_t *staples = json_object();
	size_t i;

	for (i = 0; i < STATS_STAPLES; i++)
		json_object_set_new(staples,
		    stats_staple_name((enum stats_staple)i),
		    json_integer((json_int_t)counts->staples[i]));
	return staples;
}

static json_t *
print_listener(const struct overview_listener *listener)
{
	const struct stats_counts *counts = &listener->counts;
	uint64_t open = counts->accepted > counts->closed
			    ? counts->accepted - counts->closed
			    : 0;
	json_t *addresses = json_array(), *backends = json_array();
	size_t i;

	for (i = 0; i < listener->address_count; i++)
		json_array_append_new(
		    addresses, text_of(listener->addresses[i]));
	for (i = 0; i < listener->backend_count; i++)
		json_array_append_new(
		    backends, print_backend(&listener->backends[i]));
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:{s:I, s:I}, "
			 "s:o, s:o}",
	    "name", text_of(listener->name), "addresses", addresses,
	    "connections", (json_int_t)open, "accepted",
	    (json_int_t)counts->accepted, "max_connections",
	    (json_int_t)listener->max_connections, "ended", print_ended(counts),
	    "handshakes", print_handshakes(counts), "bytes", "in",
	    (json_int_t)counts->bytes_in, "out", (json_int_t)counts->bytes_out,
	    "staples", print_staples(counts), "backends", backends);
}

/* ---- Certificates ---- */

static json_t *
print_fetches(const struct staple_info *staple)
{
	json_t *fetches = json_object();
	size_t i;

	for (i = 0; i < STAPLE_OUTCOMES; i++)
		put_count(fetches, staple_outcome_name((enum staple_outcome)i),
		    staple->fetches[i]);
	return fetches;
}

/* The last failure, or why there can be no attempt. */
static const char *
error_of(const struct staple_info *staple)
{
	if (!staple->wanted)
		return NULL;
	return staple->failures > 0 ||
		       staple->unavailable_reason != STAPLE_UNASKED
		   ? staple->said
		   : NULL;
}

static json_t *
print_staple(const struct overview_certificate *certificate, int64_t now_s)
{
	const struct staple_info *staple = &certificate->staple;
	const char *state = overview_staple_state(staple, now_s);
	bool held = staple->held;

	return json_pack("{s:s, s:b, s:b, s:I, s:s, s:o, s:o, s:o, s:o, s:o, "
			 "s:s, s:I, s:o, s:o, s:I, s:I}",
	    "mode", certificate->mode, "wanted", staple->wanted, "must_staple",
	    staple->must_staple, "responders", (json_int_t)staple->responders,
	    "state", state ? state : "none", "this_update",
	    time_or_null(held ? staple->this_update : 0), "next_update",
	    time_or_null(held ? staple->next_update : 0), "expires",
	    time_or_null(held ? staple->expires : 0), "next_fetch",
	    time_or_null(staple->next_try), "last_success",
	    time_or_null(staple->last_success), "outcome",
	    staple_outcome_name(staple->outcome), "failures",
	    (json_int_t)staple->failures, "error",
	    text_or_null(error_of(staple)), "fetches", print_fetches(staple),
	    "asked", (json_int_t)staple->asked, "sent",
	    (json_int_t)staple->sent);
}

/* The listeners and hosts that use the certificate of these items. */
static json_t *
print_users(const struct overview_certificate *items, size_t count)
{
	json_t *users = json_array();
	char text[512];
	size_t i;

	for (i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%s%s%s", items[i].listener,
		    items[i].host ? " " : "",
		    items[i].host ? items[i].host : "");
		json_array_append_new(users, text_of(text));
	}
	return users;
}

/* One certificate: `count` items. */
static json_t *
print_certificate(
    const struct overview_certificate *certificate, size_t count, int64_t now_s)
{
	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:I, "
			 "s:I, s:s, s:s, s:o}",
	    "name", text_of(certificate->staple.name), "id",
	    certificate->staple.id, "serial", certificate->serial, "kind",
	    certificate->kind, "issuer", text_of(certificate->issuer), "file",
	    text_of(certificate->file), "listeners",
	    print_users(certificate, count), "in_service",
	    certificate->in_service, "not_before",
	    (json_int_t)certificate->not_before, "not_after",
	    (json_int_t)certificate->not_after, "severity",
	    overview_severity_name(certificate->severity), "clients_get",
	    certificate->clients_get, "staple",
	    print_staple(certificate, now_s));
}

/* ---- The document ---- */

static json_t *
print_reload(const struct overview_reloads *reloads)
{
	return json_pack("{s:I, s:I, s:b, s:o, s:s?, s:o}", "succeeded",
	    (json_int_t)reloads->succeeded, "failed",
	    (json_int_t)reloads->failed, "running", reloads->running,
	    "last_time", time_or_null(reloads->last_s), "last_result",
	    reloads->last_s == 0   ? NULL
	    : reloads->last_failed ? "failure"
				   : "success",
	    "last_error",
	    text_or_null(reloads->last_failed ? reloads->error : NULL));
}

static json_t *
print_reasons(const struct overview *overview)
{
	json_t *reasons = json_array();
	size_t i;

	for (i = 0; i < overview->reason_count; i++)
		json_array_append_new(reasons, text_of(overview->reasons[i]));
	return reasons;
}

static json_t *
print_crls(const struct overview *overview)
{
	json_t *crls = json_array();
	size_t i;

	for (i = 0; i < overview->crl_count; i++)
		json_array_append_new(
		    crls, json_pack("{s:o, s:o, s:I}", "issuer",
			      text_of(overview->crls[i].issuer), "file",
			      text_of(overview->crls[i].file), "next_update",
			      (json_int_t)overview->crls[i].next_update));
	return crls;
}

static json_t *
print_lists(const struct overview *overview, json_t *document)
{
	json_t *listeners = json_array(), *certificates = json_array();
	size_t i, end;

	for (i = 0; i < overview->listener_count; i++)
		json_array_append_new(
		    listeners, print_listener(&overview->listeners[i]));
	for (i = 0; i < overview->certificate_count; i = end) {
		end = overview_next_certificate(overview, i);
		json_array_append_new(
		    certificates, print_certificate(&overview->certificates[i],
				      end - i, overview->now_ms / 1000));
	}
	json_object_set_new(document, "listeners", listeners);
	json_object_set_new(document, "certificates", certificates);
	json_object_set_new(document, "crls", print_crls(overview));
	return document;
}

char *
status_print(const struct overview *overview, size_t *len)
{
	json_t *document = json_pack(
	    "{s:s, s:s, s:I, s:I, s:I, s:o, s:I, s:s, s:b, s:o, s:o, s:I}",
	    "version", PACKAGE_VERSION, "openssl", overview->openssl, "pid",
	    (json_int_t)getpid(), "start_time", (json_int_t)overview->start_s,
	    "now", (json_int_t)(overview->now_ms / 1000), "config",
	    text_of(overview->config_file), "threads",
	    (json_int_t)overview->threads, "state",
	    overview_state_name(overview->state), "ready", overview->ready,
	    "reasons", print_reasons(overview), "reload",
	    print_reload(&overview->reloads), "log_lines_dropped",
	    (json_int_t)overview->log_lines_dropped);
	char *text = NULL;

	if (document != NULL) {
		print_lists(overview, document);
		text = json_dumps(document, JSON_INDENT(1));
	}
	json_decref(document);
	*len = text ? strlen(text) : 0;
	return text;
}
