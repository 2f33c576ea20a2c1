/*
 * Reload and first start: build a generation, wait for what it needs, publish
 * it.  Renewed certificates and changed files are published in the same way.
 * Main thread; the listener threads and the staple thread only wake it.
 *
 * A new generation waits until every backend name has been resolved once, or
 * NAMES_TIMEOUT_S has passed, and until the stapling policy is satisfied; it is
 * discarded if the policy refuses it.  Names come first because a listener
 * published without an address would refuse its first clients.  On the first
 * start there is no current generation, and a refusal ends the process.  A
 * generation is in force when every loop has adopted it and closed the old
 * sockets: only then is a removed address free, and the next change begins.
 *
 * No result is kept per certificate: every event evaluates all certificates
 * anew, so that the order of events does not matter.  A changed file makes a new
 * generation from the same configuration, which reads only the files whose stamp
 * has changed.
 */
#include "runtime/reload.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "proxy/limit.h"
#include "proxy/listener.h"
#include "proxy/service.h"
#include "runtime/backend_check.h"
#include "runtime/build.h"
#include "runtime/cert_slot.h"
#include "runtime/collect.h"
#include "runtime/expiry.h"
#include "runtime/generation.h"
#include "runtime/handover.h"
#include "runtime/loop.h"
#include "runtime/process.h"
#include "runtime/resolve.h"
#include "runtime/sandbox.h"
#include "runtime/server.h"
#include "runtime/stapling.h"
#include "runtime/watch.h"
#include "tls/identity.h"
#include "tls/ticket.h"

static void publish(struct server *server, struct generation *fresh,
    enum publish_reason reason);
static void try_to_publish(struct server *server);

/* ---- States ---- */

void
server_enter(struct server *server, enum server_state state)
{
	static const unsigned successors[] = {
		[SERVER_STARTING] = 1u << SERVER_PUBLISHING |
				    1u << SERVER_ENDING,
		[SERVER_PUBLISHING] = 1u << SERVER_SERVING |
				      1u << SERVER_DRAINING,
		[SERVER_SERVING] = 1u << SERVER_PENDING |
				   1u << SERVER_PUBLISHING |
				   1u << SERVER_UPGRADING |
				   1u << SERVER_DRAINING,
		[SERVER_UPGRADING] = 1u << SERVER_SERVING |
				     1u << SERVER_DRAINING,
		[SERVER_PENDING] = 1u << SERVER_PUBLISHING |
				   1u << SERVER_SERVING | 1u << SERVER_DRAINING,
		[SERVER_DRAINING] = 1u << SERVER_ENDING,
		[SERVER_ENDING] = 1u << SERVER_ENDING, /* one more signal */
	};

	assert(successors[server->state] & 1u << state);
	server->state = state;
}

/* Does `pending` wait for names or staples? */
static bool
is_waiting(const struct server *server)
{
	return server->state == SERVER_STARTING ||
	       server->state == SERVER_PENDING;
}

/* ---- Staples ---- */

/* Interval of the check whether a certificate with a waiting renewal expires
 * soon; wall time may jump, so the timer is not set to the expiry itself. */
#define RENEWALS_S 10.0

/* Delay of the next evaluation, multiplied by the number of certificates. */
#define DEBOUNCE_S 20e-6

/* During a start or reload EXTEND_TIMEOUT_USEC is sent every EXTEND_EVERY_S;
 * EXTENSION_S is longer than that. */
#define EXTEND_FIRST_S 1.0
#define EXTEND_EVERY_S 10.0
#define EXTENSION_S 30

/* Interval of the lines that a start prints on a terminal while it waits. */
#define PROGRESS_S 3.0

/* Of more certificates whose first attempt has not ended only the number is
 * logged. */
#define NAMED_MAX 16

/* An error, for the log and, in a reload, for the client that requested it. */
static void
log_refusal(struct server *server, const char *component, const char *text)
{
	log_error(server->parts.log, component, text);
	collect_reload_error(server->collect, text);
}

static void
log_errors(struct server *server, const char *component,
    const struct config_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->list.count; i++)
		log_refusal(server, component, errors->list.items[i]);
}

static struct policy_eval
eval_now(const struct server *server, enum policy_phase phase)
{
	return (struct policy_eval){
		.stapling = server->parts.stapling,
		.phase = phase,
		.now_s = clock_wall_ms() / 1000,
		.wait = is_waiting(server) ? server->wait : START_WAIT_ALL,
	};
}

static struct policy_eval
eval_pending(const struct server *server)
{
	struct policy_eval eval = eval_now(server,
	    server->state == SERVER_STARTING ? PHASE_START : PHASE_RELOAD);

	eval.before = server->current;
	return eval;
}

/* ---- Staples: waiting ---- */

static double
start_wait_s(const struct server *server)
{
	const struct config *config = generation_config(server->pending);

	return config->ocsp.start_wait_ms / 1000.0;
}

static void
restart_start_timeout(struct server *server)
{
	ev_timer_stop(server->ev, &server->start_timeout);
	ev_timer_set(&server->start_timeout, start_wait_s(server), 0.0);
	ev_now_update(server->ev);
	ev_timer_start(server->ev, &server->start_timeout);
}

static void
on_extend(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	const struct server *server = watcher->data;
	char status[80];

	(void)ev;
	(void)events;
	snprintf(
	    status, sizeof(status), "Waiting for %zu staples", server->awaited);
	notify_extend(EXTENSION_S, status);
}

struct progress {
	size_t wanted, stapled, failing; /* certificates */
};

static void
count_progress(void *arg, const struct evaluated_cert *cert)
{
	struct progress *progress = arg;
	bool stapled = cert->info.held && !cert->info.revoked;

	progress->wanted += cert->info.wanted;
	progress->stapled += cert->info.wanted && stapled;
	progress->failing += cert->info.wanted && !stapled &&
			     cert->info.failures > 0;
}

/* To stderr whatever [log] sets: [log] may be a file, and the terminal is
 * where the start is waited for. */
static void
on_progress(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	const struct server *server = watcher->data;
	const struct policy_eval eval = eval_pending(server);
	struct progress progress = { 0 };

	(void)ev;
	(void)events;
	policy_eval_each(&eval, server->pending, count_progress, &progress);
	fprintf(stderr, "%zu of %zu certificates stapled, %zu failing\n",
	    progress.stapled, progress.wanted, progress.failing);
}

static void
show_progress(struct server *server)
{
	if (server->state != SERVER_STARTING || !isatty(STDERR_FILENO))
		return;
	ev_timer_set(&server->progress, PROGRESS_S, PROGRESS_S);
	ev_timer_start(server->ev, &server->progress);
}

static void
stop_waiting(struct server *server)
{
	ev_timer_stop(server->ev, &server->progress);
	ev_timer_stop(server->ev, &server->start_timeout);
	ev_timer_stop(server->ev, &server->start_wait_end);
	ev_timer_stop(server->ev, &server->extend);
}

/* Begin to wait for the certificates of a new `pending`. */
static void
begin_waiting(struct server *server)
{
	stop_waiting(server);
	server->wait = START_WAIT_ALL;
	server->answered = server->awaited = 0;
	restart_start_timeout(server);
	ev_timer_set(&server->start_wait_end, start_wait_s(server), 0.0);
	ev_timer_start(server->ev, &server->start_wait_end);
	show_progress(server);
	/* In an upgrade the old process is the service's. */
	if (!notify_is_wanted() || server->handover)
		return;
	ev_timer_set(&server->extend, EXTEND_FIRST_S, EXTEND_EVERY_S);
	ev_timer_start(server->ev, &server->extend);
}

/* Count the certificates of `pending` that have an answer and those that wait
 * for one.  A new answer restarts the start timeout.  true: at least one
 * waits. */
static bool
update_waiting(struct server *server)
{
	const struct policy_eval eval = eval_pending(server);
	struct policy_counts sum = policy_eval_all(&eval, server->pending);

	/* As long as answers arrive, go on waiting for certificates that must be
	 * stapled and are still queued. */
	if (sum.answered > server->answered && server->wait != START_WAIT_OVER)
		restart_start_timeout(server);
	server->answered = sum.answered;
	server->awaited = sum.counts[POLICY_WAIT];
	return server->awaited > 0;
}

static void
on_start_timeout(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	server->wait = START_WAIT_OVER;
	try_to_publish(server);
}

static void
on_start_wait_end(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	if (server->wait == START_WAIT_ALL)
		server->wait = START_WAIT_STRICT;
	try_to_publish(server);
}

/* ---- Staples: refusing ---- */

struct staple_refusal {
	struct server *server;
	enum server_exit status;
};

/* The line of the certificate, or of its cert_dir. */
static const struct config_where *
where_of(const struct evaluated_cert *cert)
{
	const struct config_listener *settings = cert->settings;

	return cert->slot->id.in_folder
		   ? config_where_of(settings->places, KEY_CERT_DIR)
		   : &settings->certs.items[0].where;
}

/* At a start also on stderr, unless the log goes there. */
static void
report_refusal(struct server *server, const struct evaluated_cert *cert,
    const struct err *err)
{
	const struct config *config = generation_config(server->pending);
	const struct config_listener *listener = cert->settings;

	collect_reload_error(server->collect, err->text);
	handover_report(server->handover, err->text);
	log_error(server->parts.log, "ocsp", err->text,
	    LOG_S("listener", listener->name), LOG_S("cert", cert->info.name),
	    LOG_S("outcome", staple_outcome_name(cert->info.outcome)));
	if (server->state == SERVER_STARTING &&
	    strcmp(config->log.output, "stderr") != 0)
		fprintf(stderr, "%s:%u: listener %s: %s\n",
		    where_of(cert)->file, where_of(cert)->line, listener->name,
		    err->text);
}

static void
refuse_cert(void *arg, const struct evaluated_cert *cert)
{
	struct staple_refusal *refusal = arg;
	char why[ERR_TEXT_MAX / 2];
	struct err err;

	policy_explain(&cert->info, why, sizeof(why));
	if (cert->result == POLICY_REVOKED) {
		err_set(&err, "certificate %s is revoked: %s", cert->info.name,
		    why);
		refusal->status = EXIT_REVOKED;
	} else if (cert->result == POLICY_FAILED) {
		err_set(&err,
		    "certificate %s must be stapled, but there is no response: "
		    "%s",
		    cert->info.name, why);
		if (refusal->status == EXIT_ASKED)
			refusal->status = EXIT_START_FAILED;
	} else {
		return;
	}
	report_refusal(refusal->server, cert, &err);
}

/* Does policy refuse `pending`?  Logs the reasons and returns the exit status
 * of a start; EXIT_ASKED: not refused. */
static enum server_exit
refuse_by_policy(struct server *server)
{
	const struct policy_eval eval = eval_pending(server);
	struct staple_refusal refusal = {
		.server = server,
		.status = EXIT_ASKED,
	};

	policy_eval_each(&eval, server->pending, refuse_cert, &refusal);
	return refusal.status;
}

/* ---- Staples: renewing ---- */

/* Replace *generation if one of its renewed certificates is due.  false: none
 * is, or an error was logged. */
static bool
renew(struct server *server, struct generation **generation)
{
	const struct policy_eval eval = eval_now(server, PHASE_RELOAD);
	struct generation_errors errors;
	struct generation *fresh = generation_renew(
	    *generation, &server->parts, &eval, &errors);

	if (errors.all.list.count > 0)
		log_error(server->parts.log, "ocsp",
		    "renewed certificates stay out",
		    LOG_S("error", errors.all.list.items[0]));
	generation_errors_free(&errors);
	if (fresh == NULL)
		return false;
	if (!resolver_follow(server->resolver, fresh)) {
		log_error(server->parts.log, "ocsp",
		    "renewed certificates stay out",
		    LOG_S("error", "out of memory for backend names"));
		generation_unref(fresh);
		return false;
	}
	generation_unref(*generation);
	*generation = fresh;
	return true;
}

static void
renew_current(struct server *server)
{
	struct generation *fresh = generation_ref(server->current);

	if (renew(server, &fresh))
		publish(server, fresh, PUBLISH_RENEWAL);
	else
		generation_unref(fresh);
}

/* ---- Staples: in force ---- */

struct publication {
	struct server *server;
	const struct generation *old;
	size_t waiting; /* new certificates without an ended attempt */
};

/*
 * Two kinds are left out: at a start a certificate whose first attempt has
 * ended, because libstaple has just logged it, and certificates without an ended
 * attempt if report_all logs only their number.
 */
static void
report_degraded(
    const struct publication *publication, const struct evaluated_cert *cert)
{
	struct server *server = publication->server;
	bool settled = cert->info.settled;
	char why[ERR_TEXT_MAX / 2];

	if (settled ? publication->old == NULL
		    : publication->waiting > NAMED_MAX)
		return;
	policy_explain(&cert->info, why, sizeof(why));
	log_warning(server->parts.log, "ocsp", "serving without a staple",
	    LOG_S("listener", cert->settings->name),
	    LOG_S("cert", cert->info.name), LOG_S("reason", why));
}

static void
report_new(
    const struct publication *publication, const struct evaluated_cert *cert)
{
	struct server *server = publication->server;
	const struct config_listener *listener = cert->settings;
	const struct staple_info *info = &cert->info;

	if (cert->result == POLICY_DEGRADED)
		report_degraded(publication, cert);
	if (listener->ocsp == OCSP_MODE_NEVER && info->must_staple)
		log_warning(server->parts.log, "ocsp",
		    "must-staple certificate is not stapled (ocsp = never); "
		    "strict clients will refuse it",
		    LOG_S("listener", listener->name),
		    LOG_S("cert", info->name));
	if (listener->ocsp == OCSP_MODE_PREFER &&
	    info->unavailable_reason == STAPLE_NO_RESPONDER)
		log_info(server->parts.log, "ocsp",
		    "certificate has no responder URL; not stapled",
		    LOG_S("listener", listener->name),
		    LOG_S("cert", info->name), LOG_S("reason", info->said));
}

static void
report_waiting(
    const struct publication *publication, const struct evaluated_cert *cert)
{
	const struct staple_info *info = &cert->info;
	char why[ERR_TEXT_MAX / 2] = "";

	if (info->unavailable_reason != STAPLE_UNASKED)
		policy_explain(info, why, sizeof(why));
	log_notice(publication->server->parts.log, "ocsp",
	    cert->slot->identity
		? "renewed certificate waits for its staple; the old one "
		  "serves until an hour before its end"
		: "certificate waits for its staple and is not in service",
	    LOG_S("listener", cert->settings->name), LOG_S("cert", info->name),
	    LOG_S("file", cert->slot->id.cert),
	    LOG_S("reason", why[0] ? why : "no staple yet"));
}

static void
report_one(void *arg, const struct evaluated_cert *cert)
{
	const struct publication *publication = arg;

	if (cert->renewal)
		report_waiting(publication, cert);
	else if (publication->old == NULL ||
		 !generation_has(publication->old, cert->identity))
		report_new(publication, cert);
}

static void
count_waiting(void *arg, const struct evaluated_cert *cert)
{
	struct publication *publication = arg;

	if (cert->result == POLICY_DEGRADED && !cert->renewal &&
	    !cert->info.settled &&
	    (publication->old == NULL ||
		!generation_has(publication->old, cert->identity)))
		publication->waiting++;
}

static void
report_all(struct publication *publication, const struct policy_eval *eval)
{
	struct server *server = publication->server;

	policy_eval_each(eval, server->current, count_waiting, publication);
	policy_eval_each(eval, server->current, report_one, publication);
	if (publication->waiting > NAMED_MAX)
		log_notice(server->parts.log, "ocsp",
		    "start_wait is over, certificates are still queued for "
		    "their first staple",
		    LOG_N("certificates", publication->waiting));
}

/* `current` was published in place of `old` (NULL: at a start). */
static void
after_publication(struct server *server, const struct generation *old)
{
	const struct policy_eval eval = eval_now(server, PHASE_RUNNING);
	struct publication publication = { .server = server, .old = old };

	stop_waiting(server);
	ev_timer_stop(server->ev, &server->renewals);
	if (generation_waits(server->current)) {
		ev_timer_set(&server->renewals, RENEWALS_S, RENEWALS_S);
		ev_timer_start(server->ev, &server->renewals);
	}
	if (server->reason != PUBLISH_RENEWAL)
		report_all(&publication, &eval);
}

/* Log a revoked certificate and set the exit status. */
static void
report_revoked(void *arg, const struct evaluated_cert *cert)
{
	struct server *server = arg;

	if (cert->result != POLICY_REVOKED || cert->renewal)
		return;
	server->status = EXIT_REVOKED;
	log_error(server->parts.log, "ocsp",
	    "certificate is revoked; the process ends",
	    LOG_S("listener", cert->settings->name),
	    LOG_S("cert", cert->info.name), LOG_S("reason", cert->info.said));
}

/* Certificates have changed, or time has passed: drain, publish `pending`, or
 * renew. */
static void
evaluate_staples(struct server *server)
{
	const struct policy_eval eval = eval_now(server, PHASE_RUNNING);

	if (server->current) {
		policy_eval_each(
		    &eval, server->current, report_revoked, server);
		if (server->status == EXIT_REVOKED) {
			drain_begin(server);
			return;
		}
	}
	if (is_waiting(server))
		try_to_publish(server);
	else if (server->state == SERVER_SERVING)
		renew_current(server);
}

static void
on_renewals(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)ev;
	(void)events;
	evaluate_staples(watcher->data);
}

/*
 * Every evaluation reads all certificates.  Thousands of answers must not cause
 * thousands of evaluations of thousands of certificates, so the next one is
 * delayed in proportion to their number.
 */
static void
on_staple_async(struct ev_loop *ev, struct ev_async *watcher, int events)
{
	struct server *server = watcher->data;
	const struct generation *generation = server->pending ? server->pending
							      : server->current;
	double later_s = 0;

	(void)events;
	if (ev_is_active(&server->debounce))
		return;
	if (generation)
		later_s = DEBOUNCE_S * generation_cert_count(generation);
	ev_timer_set(&server->debounce, later_s, 0.0);
	ev_timer_start(ev, &server->debounce);
}

static void
on_debounce(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)ev;
	(void)events;
	evaluate_staples(watcher->data);
}

static void
init_staple_timers(struct server *server)
{
	ev_timer_init(&server->start_timeout, on_start_timeout, 0.0, 0.0);
	server->start_timeout.data = server;
	ev_timer_init(&server->start_wait_end, on_start_wait_end, 0.0, 0.0);
	server->start_wait_end.data = server;
	ev_timer_init(&server->extend, on_extend, 0.0, 0.0);
	server->extend.data = server;
	ev_timer_init(&server->progress, on_progress, 0.0, 0.0);
	server->progress.data = server;
	ev_timer_init(&server->renewals, on_renewals, 0.0, 0.0);
	server->renewals.data = server;
	ev_timer_init(&server->debounce, on_debounce, 0.0, 0.0);
	server->debounce.data = server;
	ev_async_init(&server->staple_async, on_staple_async);
	server->staple_async.data = server;
	ev_async_start(server->ev, &server->staple_async);
}

static void
stop_staple_timers(struct server *server)
{
	stop_waiting(server);
	ev_timer_stop(server->ev, &server->renewals);
	ev_timer_stop(server->ev, &server->debounce);
}

/* ---- Changed files: what is watched ---- */

struct watch_list {
	struct watch_path *paths;
	size_t count;
};

/* With the stamp of the contents that were read, so that a later change is found
 * at once. */
static void
add_read(struct watch_list *list, const char *path, const struct stamp *stamp)
{
	list->paths[list->count++] = (struct watch_path){ .path = path,
		.read = *stamp };
}

/* With the stamp that the path has now.  NULL ok. */
static void
add_now(struct watch_list *list, const char *path, bool is_folder)
{
	if (path == NULL)
		return;
	list->paths[list->count++] = (struct watch_path){
		.path = path, .read = stamp_of(path), .is_folder = is_folder
	};
}

static void
add_slot(struct watch_list *list, const struct cert_slot *slot)
{
	add_read(list, slot->id.cert, &slot->cert_stamp);
	add_read(list, slot->id.key, &slot->key_stamp);
	add_now(list, slot->id.staple_file, false);
}

static void
add_ca(struct watch_list *list, const struct ca_entry *entry)
{
	add_read(list, entry->settings->ca_file, &entry->ca_stamp);
	if (entry->settings->crl_file)
		add_read(list, entry->settings->crl_file, &entry->crl_stamp);
}

/* The subfolders of each listener's cert_dir, in which certificates may appear;
 * *count: of all listeners.  An unreadable cert_dir has none. */
static struct cert_dir *
list_folders(const struct config *config, size_t *count)
{
	struct cert_dir *folders = calloc(
	    config->listener_count + 1, sizeof(folders[0]));
	const struct config_listener *listener;
	struct err err;
	size_t i;

	*count = 0;
	for (i = 0; folders && i < config->listener_count; i++) {
		listener = &config->listeners[i];
		if (listener->watch && listener->cert_dir &&
		    cert_dir_list(&folders[i], listener->cert_dir, &err))
			*count += folders[i].folder_count;
	}
	return folders;
}

static void
free_folders(struct cert_dir *folders, size_t count)
{
	size_t i;

	for (i = 0; folders && i < count; i++)
		cert_dir_free(&folders[i]);
	free(folders);
}

static void
fill_list(struct watch_list *list, const struct generation *generation,
    const struct cert_dir *folders)
{
	const struct config *config = generation->config;
	const struct config_listener *listener;
	size_t i, k;

	for (i = 0; i < generation->cert_count; i++)
		if (generation->certs[i].settings->watch)
			add_slot(list, generation->certs[i].slot);
	for (i = 0; i < generation->trust_count; i++)
		if (generation->trusts[i].settings->watch)
			add_ca(list, &generation->trusts[i]);
	for (i = 0; i < config->listener_count; i++) {
		listener = &config->listeners[i];
		if (listener->watch)
			add_now(list, listener->cert_dir, true);
		for (k = 0; k < folders[i].folder_count; k++)
			add_now(list, folders[i].folders[k], true);
	}
	add_now(list, config->ticket_key_file, false);
}

static bool
watch_paths(struct server *server)
{
	const struct generation *generation = server->current;
	size_t listeners = generation->config->listener_count, subfolders;
	struct cert_dir *folders = list_folders(
	    generation->config, &subfolders);
	size_t room = 3 * generation->cert_count + 2 * generation->trust_count +
		      listeners + subfolders + 1;
	struct watch_list list = {
		.paths = calloc(room, sizeof(list.paths[0])),
	};
	bool fine = folders && list.paths;

	if (fine) {
		fill_list(&list, generation, folders);
		fine = watch_follow(server->watch, list.paths, list.count);
	}
	free(list.paths);
	free_folders(folders, listeners);
	return fine;
}

/* `current` has changed: watch its files and check its expiries. */
static void
watch_files(struct server *server)
{
	if (!watch_paths(server))
		log_error(server->parts.log, "watch",
		    "out of memory: changed files are not loaded");
	expiry_look(server->current, server->parts.log, clock_wall_ms() / 1000);
}

/* ---- Changed files: what has changed ---- */

/* Has ticket_key_file changed since it was last read?  Keeps its stamp. */
static bool
have_ticket_keys_changed(struct server *server, const char *path)
{
	struct stamp stamp = stamp_of(path);

	if (stamp_equal(&stamp, &server->tickets_read))
		return false;
	server->tickets_read = stamp;
	return true;
}

/* Once the configuration has no ticket_key_file any more, switch to a generated
 * key of this process. */
static void
leave_shared_keys(struct server *server)
{
	struct err err;

	if (!server->tickets_shared)
		return;
	server->tickets_shared = false;
	server->tickets_read = (struct stamp){ 0 };
	if (!ticket_keys_rotate(server->parts.keys, &err))
		log_error(server->parts.log, "tls", err.text);
}

/* Load the shared keys of ticket_key_file, if it is set. */
static void
load_ticket_keys(struct server *server, const struct config *config)
{
	const char *path = config->ticket_key_file;
	struct err err = { "" }, warning = { "" };

	if (path == NULL)
		leave_shared_keys(server);
	if (path == NULL || !have_ticket_keys_changed(server, path))
		return;
	server->tickets_shared = true;
	if (!ticket_keys_load(server->parts.keys, path,
		config->ticket_key_permissions, &warning, &err)) {
		log_error(server->parts.log, "tls",
		    "ticket keys not replaced; the previous ones stay in use",
		    LOG_S("error", err.text));
		return;
	}
	if (warning.text[0])
		log_warning(server->parts.log, "tls", warning.text);
	if (server->state != SERVER_STARTING)
		log_notice(server->parts.log, "tls", "ticket keys replaced",
		    LOG_S("file", path));
}

static void
report_replaced(const struct server *server, const struct generation *fresh)
{
	const struct cert_slot *slot;
	size_t i;

	for (i = 0; i < fresh->cert_count; i++) {
		slot = fresh->certs[i].slot;
		if (slot->identity == NULL ||
		    generation_has(server->current, slot->identity))
			continue;
		log_notice(server->parts.log, "tls",
		    "changed certificate in service",
		    LOG_S("listener", fresh->certs[i].settings->name),
		    LOG_S("cert", identity_name(slot->identity)),
		    LOG_S("file", slot->id.cert));
	}
}

static struct generation *
build_from_files(struct server *server)
{
	struct generation_errors errors;
	struct generation *fresh = generation_build(server->current,
	    generation_config(server->current), &server->parts,
	    GENERATION_FILES, &errors);

	log_errors(server, "tls", &errors.all);
	generation_errors_free(&errors);
	return fresh;
}

/* A generation that has only read more is published as well: it holds the
 * stamps of bad files, so that these are read and reported once. */
static bool
is_worth_publishing(
    const struct generation *fresh, const struct generation *current)
{
	return generation_differs(fresh, current) ||
	       generation_read_more(fresh, current);
}

static void
rebuild_from_files(struct server *server)
{
	struct generation *fresh = build_from_files(server);

	load_ticket_keys(server, generation_config(server->current));
	/* Keep the watch as it is: it has the new stamps and follows links
	 * itself, and the stamps of `current` would look like another
	 * change. */
	if (fresh == NULL || !is_worth_publishing(fresh, server->current)) {
		generation_unref(fresh);
		return;
	}
	if (!resolver_follow(server->resolver, fresh)) {
		log_error(server->parts.log, "tls",
		    "out of memory: changed files are not in force");
		generation_unref(fresh);
		return;
	}
	report_replaced(server, fresh);
	publish(server, fresh, PUBLISH_FILES);
}

static void
handle_changed_files(struct server *server)
{
	if (!server->files_wanted || server->state != SERVER_SERVING)
		return;
	server->files_wanted = false;
	rebuild_from_files(server);
}

static void
on_change(void *arg)
{
	struct server *server = arg;

	server->files_wanted = true;
	handle_changed_files(server);
}

/* Wall time may jump, so the timer is not set to an expiry. */
#define EXPIRY_S 60.0

static void
on_expiry(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	if (server->current)
		expiry_look(
		    server->current, server->parts.log, clock_wall_ms() / 1000);
}

static bool
init_files(struct server *server, struct err *err)
{
	ev_timer_init(&server->expiry, on_expiry, EXPIRY_S, EXPIRY_S);
	server->expiry.data = server;
	ev_timer_start(server->ev, &server->expiry);
	server->watch = watch_new(
	    server->ev, server->parts.log, on_change, server, err);
	return server->watch != NULL;
}

/* ---- Publishing ---- */

static void
apply_cap(struct server *server, const struct config *config)
{
	uint32_t possible = process_default_connections(server->descriptors);
	uint32_t cap = config->max_connections;

	if (cap > possible)
		log_warning(server->parts.log, "server",
		    "max_connections is more than the descriptor limit allows "
		    "(raise LimitNOFILE or ulimit -n)",
		    LOG_N("max_connections", cap), LOG_N("possible", possible));
	limit_process_set_cap(server->parts.process, cap ? cap : possible);
}

/* 0: never.  Keys of ticket_key_file are rotated by changing the file. */
static double
rotation_s(const struct config *config)
{
	return config->ticket_key_file ? 0 : config->ticket_rotate_ms / 1000.0;
}

/* Apply the settings that belong to the process rather than to a generation:
 * connection cap, ticket keys and their rotation. */
static void
adopt_settings(struct server *server, const struct config *config)
{
	double every_s = rotation_s(config), first_s = every_s;

	apply_cap(server, config);
	load_ticket_keys(server, config);
	if (ev_is_active(&server->rotate) && server->rotate.repeat == every_s)
		return; /* a reload must not delay the rotation */
	ev_timer_stop(server->ev, &server->rotate);
	if (every_s == 0)
		return;
	/* Nor must an upgrade. */
	if (server->handover && server->handover->rotate_ms > 0 &&
	    server->handover->rotate_ms / 1000.0 < every_s)
		first_s = server->handover->rotate_ms / 1000.0;
	ev_timer_set(&server->rotate, first_s, every_s);
	ev_timer_start(server->ev, &server->rotate);
}

/* Log the address of a socket that is new to this process: scripts read the port
 * from this line.  A Unix socket that is kept gets the configured mode. */
static void
finish_socket(struct server *server, const struct listen_socket *socket)
{
	const char *name = socket->service->listener->name;
	char text[ADDR_TEXT_MAX];
	struct err err;

	if ((socket->fresh || server->reason == PUBLISH_START) &&
	    !socket->is_rest) {
		addr_print(
		    listener_address(socket->listener), text, sizeof(text));
		log_notice(server->parts.log, "listener", "listening",
		    LOG_S("listener", name), LOG_S("address", text));
	}
	if (!socket->fresh && !listener_set_mode(socket->listener,
				  socket->service->listener->unix_mode, &err))
		log_warning(server->parts.log, "listener", err.text,
		    LOG_S("listener", name));
}

static void
finish_sockets(struct server *server)
{
	size_t i;

	for (i = 0; i < generation_socket_count(server->current); i++)
		finish_socket(server, generation_socket(server->current, i));
}

void
reload_notify(const struct server *server)
{
	char text[160];

	if (server->handover)
		return; /* not the main process of the service yet */
	snprintf(text, sizeof(text),
	    "READY=1\nMAINPID=%ld\nSTATUS=Serving %zu listeners on %u threads",
	    (long)getpid(), generation_service_count(server->current),
	    server->loop_count);
	notify_send(text);
}

static bool
is_new_configuration(enum publish_reason reason)
{
	return reason == PUBLISH_START || reason == PUBLISH_RELOAD;
}

static bool
has_admin(const struct generation *generation, const struct listener *listener)
{
	size_t i;

	for (i = 0; generation && i < generation->admin_count; i++)
		if (generation->admin[i] == listener)
			return true;
	return false;
}

/* The admin endpoint serves the sockets of `current` from now on; `old` is the
 * generation before it, or NULL. */
static void
serve_admin(struct server *server, const struct generation *current,
    const struct generation *old)
{
	char text[ADDR_TEXT_MAX];
	struct err err;
	size_t i;

	if (!collect_serve(server->collect, current, &err)) {
		log_error(server->parts.log, "admin", err.text);
		return;
	}
	for (i = 0; i < current->admin_count; i++) {
		struct listener *listener = current->admin[i];

		if (!has_admin(old, listener))
			log_notice(server->parts.log, "admin", "listening",
			    LOG_S("address",
				addr_print(listener_address(listener), text,
				    sizeof(text))));
		else if (!listener_set_mode(
			     listener, current->config->admin.unix_mode, &err))
			log_warning(server->parts.log, "admin", err.text);
	}
}

/* Hand `fresh` (taken) to every loop. */
static void
publish(
    struct server *server, struct generation *fresh, enum publish_reason reason)
{
	struct generation *old = server->current;
	unsigned i;

	server->current = fresh;
	server->reason = reason;
	if (is_new_configuration(reason))
		adopt_settings(server, generation_config(server->current));
	after_publication(server, old);
	backend_checks_follow(server->checks, server->current);
	if (server->state != SERVER_STARTING) {
		collect_set(server->collect, STATE_SERVING, server->current);
		serve_admin(server, server->current, old);
	}
	/* Release it here first: removed sockets must close with the loops'
	 * last reference. */
	generation_unref(old);
	server_enter(server, SERVER_PUBLISHING);
	atomic_store(&server->adopted, 0);
	for (i = 0; i < server->loop_count; i++)
		loop_adopt(server->loops[i], server->current);
	watch_files(server);
	if (is_new_configuration(reason))
		finish_sockets(server);
}

/* Renewals and changed files are not logged here, but per certificate. */
static void
report_published(struct server *server)
{
	if (!is_new_configuration(server->reason))
		return;
	log_notice(server->parts.log, "server",
	    server->reason == PUBLISH_START ? "started" : "reloaded",
	    LOG_N("listeners", generation_service_count(server->current)),
	    LOG_N("threads", server->loop_count), LOG_N("pid", getpid()));
	if (server->reason == PUBLISH_RELOAD)
		collect_reloaded(server->collect, true);
	reload_notify(server);
}

/* No change is under way any more: begin with the next one. */
static void
serve(struct server *server)
{
	server_enter(server, SERVER_SERVING);
	collect_set(server->collect, STATE_SERVING, server->current);
	/* Evaluate first: a revoked certificate may end the process. */
	evaluate_staples(server);
	if (server->reload_wanted)
		reload_run(server);
	if (server->upgrade_wanted)
		upgrade_run(server);
	handle_changed_files(server);
}

void
reload_resume(struct server *server)
{
	serve(server);
}

void
reload_settle(struct server *server)
{
	if (server->state != SERVER_PUBLISHING ||
	    atomic_load(&server->adopted) < server->loop_count)
		return;
	if (server->handover && server->reason == PUBLISH_START) {
		serve_admin(server, server->current, NULL);
		if (!upgrade_settle(server))
			return;
	}
	report_published(server);
	serve(server);
}

/* ---- Reload and first start ---- */

#define NAMES_TIMEOUT_S 5.0

static void
on_names_timeout(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)ev;
	(void)events;
	reload_names(watcher->data);
}

void
reload_begin(struct server *server)
{
	collect_set(server->collect, STATE_STARTING, server->pending);
	/* In an upgrade the old process serves it meanwhile. */
	if (server->handover == NULL)
		serve_admin(server, server->pending, NULL);
}

bool
reload_prepare(struct server *server, struct generation *fresh, struct err *err)
{
	if (!resolver_follow(server->resolver, fresh)) {
		err_set(err, "out of memory for backend names");
		return false;
	}
	server->pending = fresh;
	if (server->state == SERVER_SERVING)
		server_enter(server, SERVER_PENDING);
	ev_timer_set(&server->names_timeout, NAMES_TIMEOUT_S, 0.0);
	ev_now_update(server->ev); /* building may have taken long */
	ev_timer_start(server->ev, &server->names_timeout);
	begin_waiting(server);
	return true;
}

void
reload_names(struct server *server)
{
	/* Nothing may be pending: the timeout has passed, or a generation made
	 * of the running one shares its names. */
	ev_timer_stop(server->ev, &server->names_timeout);
	try_to_publish(server);
}

/* Keys that need a restart are compared with their values at the start. */
static void
warn_about_fixed_keys(struct server *server, const struct config *config)
{
	struct config_strings keys = config_fixed_changes(
	    server->first, config);
	char text[512] = "";
	size_t i, used = 0;

	for (i = 0; i < keys.count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%s", i ? "," : "", keys.items[i]);
	if (keys.count > 0)
		log_warning(server->parts.log, "config",
		    "changed keys that need a restart are ignored",
		    LOG_S("keys", text));
	config_strings_free(&keys);
}

/* false: a path is outside, which was logged. */
static bool
check_sandbox(struct server *server, const struct config *config)
{
	struct config_errors errors = { 0 };
	bool inside = sandbox_check(server->sandbox, config, &errors);

	log_errors(server, "sandbox", &errors);
	config_errors_free(&errors);
	return inside;
}

static struct generation *
build(struct server *server)
{
	struct config_errors errors;
	struct generation_errors build_errors;
	const struct config *config;
	struct generation *fresh = NULL;
	struct err err = { "" };

	memset(&errors, 0, sizeof(errors));
	config = config_load(server->config_path, &errors);
	if (config == NULL)
		log_errors(server, "config", &errors);
	config_errors_free(&errors);
	if (config == NULL)
		return NULL;
	if (!check_sandbox(server, config)) {
		config_unref(config);
		return NULL;
	}
	if (stapling_configure(server->parts.stapling, config, &err)) {
		fresh = generation_build(server->current, config,
		    &server->parts, GENERATION_FULL, &build_errors);
		if (fresh == NULL)
			log_errors(server, "config", &build_errors.all);
		generation_errors_free(&build_errors);
	} else {
		log_refusal(server, "config", err.text);
	}
	config_unref(config); /* the generation has its own reference */
	return fresh;
}

/* Apply the log settings of `fresh` and make it pending.  false: an error was
 * logged.  From here on only memory and the stapling policy can refuse it. */
static bool
accept_fresh(struct server *server, struct generation *fresh)
{
	const struct config *config = generation_config(fresh);
	struct err err;

	if (!load_log(server->parts.log, config, &err)) {
		log_refusal(server, "config", err.text);
		return false;
	}
	warn_about_fixed_keys(server, config);
	load_log_notes(
	    server->parts.log, config, generation_config(server->current));
	if (reload_prepare(server, fresh, &err))
		return true;
	log_refusal(server, "config", err.text);
	return false;
}

/* Discard `fresh` (NULL ok) and restore libstaple's settings from the running
 * generation. */
static void
refuse(struct server *server, struct generation *fresh)
{
	generation_unref(fresh);
	stapling_restore(server->parts.stapling, server->current);
	log_error(server->parts.log, "server",
	    "reload refused, the old configuration stays");
	collect_reloaded(server->collect, false);
	reload_notify(server);
}

/* Discard `pending`; restore the log and the resolved names as well. */
static void
refuse_pending(struct server *server)
{
	struct generation *fresh = server->pending;
	struct err err;

	server->pending = NULL;
	stop_waiting(server);
	if (!resolver_follow(server->resolver, server->current))
		log_error(server->parts.log, "resolve",
		    "out of memory for backend names");
	if (!load_log(
		server->parts.log, generation_config(server->current), &err))
		log_error(server->parts.log, "config", err.text);
	refuse(server, fresh);
	serve(server);
}

/* Publish or refuse `pending`, unless it still waits for names or staples.
 * Called after each event that may end the wait. */
static void
try_to_publish(struct server *server)
{
	bool starting = server->state == SERVER_STARTING;
	struct generation *fresh;
	enum server_exit refusal;

	if (!is_waiting(server) || update_waiting(server) ||
	    ev_is_active(&server->names_timeout))
		return;
	refusal = refuse_by_policy(server);
	if (refusal == EXIT_ASKED) {
		/* Those of its renewed certificates that have their staple
		 * already. */
		(void)renew(server, &server->pending);
		fresh = server->pending;
		server->pending = NULL;
		publish(
		    server, fresh, starting ? PUBLISH_START : PUBLISH_RELOAD);
	} else if (starting) {
		server->status = refusal;
		server_end(server);
	} else {
		refuse_pending(server);
	}
}

void
reload_run(struct server *server)
{
	struct generation *fresh;

	server->reload_wanted = server->state != SERVER_SERVING;
	if (server->reload_wanted)
		return; /* called again by serve(), or the process ends */
	notify_reloading();
	collect_reload_begins(server->collect);
	fresh = build(server);
	if (fresh == NULL || !accept_fresh(server, fresh))
		refuse(server, fresh);
}

bool
reload_init(struct server *server, struct err *err)
{
	ev_timer_init(&server->names_timeout, on_names_timeout, 0.0, 0.0);
	server->names_timeout.data = server;
	init_staple_timers(server);
	return init_files(server, err);
}

void
reload_stop(struct server *server)
{
	ev_timer_stop(server->ev, &server->names_timeout);
	stop_staple_timers(server);
}
