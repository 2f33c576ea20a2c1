/*
 * What follows from certificates for the process: which staples a start or a
 * reload waits for, what ends it, what puts a renewed certificate in service.
 * Main thread; the staple thread only wakes it.  Nothing is remembered about
 * single certificates: every look judges all of them anew, so that no order
 * of events can be missed.
 */
#include "runtime/server_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/build.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "runtime/process.h"
#include "runtime/resolve.h"
#include "runtime/stapling.h"
#include "tls/identity.h"

/* How late it may be noticed that the certificate to be replaced is about to
 * end; wall time may jump, so no longer sleep is set. */
#define RENEWALS_S 10.0

/* Between looks, for each certificate. */
#define GLANCE_S 20e-6

/* During a start or reload EXTEND_TIMEOUT_USEC is sent every EXTEND_EVERY_S;
 * EXTENSION_S is longer than that. */
#define EXTEND_FIRST_S 1.0
#define EXTEND_EVERY_S 10.0
#define EXTENSION_S 30

/* Certificates without a staple that are named one by one. */
#define NAMED_MAX 16

static struct judge
judge_now(const struct server *server, enum verdict_phase phase)
{
	return (struct judge){
		.stapling = server->parts.stapling,
		.phase = phase,
		.now_s = clock_wall_ms() / 1000,
		.patience_over = server->patience_over,
		.wait_over = server->wait_over,
	};
}

static struct judge
judge_pending(const struct server *server)
{
	struct judge judge = judge_now(server,
	    server->state == SERVER_STARTING ? PHASE_START : PHASE_RELOAD);

	judge.before = server->current;
	return judge;
}

/* ---- Waiting ---- */

static double
start_wait_s(const struct server *server)
{
	const struct config *config = generation_config(server->pending);

	return config->ocsp.start_wait_ms / 1000.0;
}

static void
begin_patience(struct server *server)
{
	ev_timer_stop(server->ev, &server->patience);
	ev_timer_set(&server->patience, start_wait_s(server), 0.0);
	ev_now_update(server->ev);
	ev_timer_start(server->ev, &server->patience);
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

void
staples_await(struct server *server)
{
	staples_wait_no_more(server);
	server->patience_over = server->wait_over = false;
	server->answered = server->awaited = 0;
	begin_patience(server);
	ev_timer_set(&server->wait_end, start_wait_s(server), 0.0);
	ev_timer_start(server->ev, &server->wait_end);
	if (!notify_is_wanted())
		return;
	ev_timer_set(&server->extend, EXTEND_FIRST_S, EXTEND_EVERY_S);
	ev_timer_start(server->ev, &server->extend);
}

void
staples_wait_no_more(struct server *server)
{
	ev_timer_stop(server->ev, &server->patience);
	ev_timer_stop(server->ev, &server->wait_end);
	ev_timer_stop(server->ev, &server->extend);
}

bool
staples_are_awaited(struct server *server)
{
	const struct judge judge = judge_pending(server);
	struct judge_sum sum = judge_all(&judge, server->pending);

	/* Those still queued that must be there hold the start for as long as
	 * answers come. */
	if (sum.answered > server->answered && !server->patience_over)
		begin_patience(server);
	server->answered = sum.answered;
	server->awaited = sum.counts[VERDICT_WAIT];
	return server->awaited > 0;
}

static void
on_patience(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	server->patience_over = true;
	reload_go_on(server);
}

static void
on_wait_end(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	struct server *server = watcher->data;

	(void)ev;
	(void)events;
	server->wait_over = true;
	reload_go_on(server);
}

/* ---- Refusing ---- */

struct refusal {
	struct server *server;
	enum server_exit status;
};

/* Of the certificate, or of the folder it was found in. */
static const struct config_where *
where_of(const struct judge_opinion *opinion)
{
	return opinion->credential->id.in_folder
		   ? &opinion->user->cert_dir_where
		   : &opinion->user->certs.items[0].where;
}

/* At a start also to stderr, where whoever started us is looking. */
static void
complain(struct server *server, const struct judge_opinion *opinion,
    const struct err *err)
{
	const struct config *config = generation_config(server->pending);
	const struct config_listener *listener = opinion->user;

	log_error(server->parts.log, "ocsp", err->text,
	    LOG_S("listener", listener->name),
	    LOG_S("cert", opinion->info.name),
	    LOG_S("outcome", staple_outcome_name(opinion->info.outcome)));
	if (server->state == SERVER_STARTING &&
	    strcmp(config->log.output, "stderr") != 0)
		fprintf(stderr, "%s:%u: listener %s: %s\n",
		    where_of(opinion)->file, where_of(opinion)->line,
		    listener->name, err->text);
}

static void
refuse_one(void *arg, const struct judge_opinion *opinion)
{
	struct refusal *refusal = arg;
	char why[ERR_TEXT_MAX / 2];
	struct err err;

	judge_explain(&opinion->info, why, sizeof(why));
	if (opinion->verdict == VERDICT_REVOKED) {
		err_set(&err, "certificate %s is revoked: %s",
		    opinion->info.name, why);
		refusal->status = EXIT_REVOKED;
	} else if (opinion->verdict == VERDICT_FAILED) {
		err_set(&err,
		    "certificate %s must be stapled, but there is no response: "
		    "%s",
		    opinion->info.name, why);
		if (refusal->status == EXIT_ASKED)
			refusal->status = EXIT_START_FAILED;
	} else {
		return;
	}
	complain(refusal->server, opinion, &err);
}

enum server_exit
staples_refuse(struct server *server)
{
	const struct judge judge = judge_pending(server);
	struct refusal refusal = {
		.server = server,
		.status = EXIT_ASKED,
	};

	judge_each(&judge, server->pending, refuse_one, &refusal);
	return refusal.status;
}

/* ---- Renewing ---- */

/* *slot is replaced when a certificate in it has been renewed. */
static bool
renew(struct server *server, struct generation **slot)
{
	const struct judge judge = judge_now(server, PHASE_RELOAD);
	struct err err;
	struct generation *fresh = renew_generation(
	    *slot, &server->parts, &judge, &err);

	if (fresh && !resolver_follow(server->resolver, fresh)) {
		err_set(&err, "out of memory for backend names");
		generation_unref(fresh);
		fresh = NULL;
	}
	if (fresh == NULL) {
		if (err.text[0])
			log_error(server->parts.log, "ocsp", err.text);
		return false;
	}
	generation_unref(*slot);
	*slot = fresh;
	return true;
}

void
staples_renew_pending(struct server *server)
{
	(void)renew(server, &server->pending);
}

static void
renew_current(struct server *server)
{
	server->pending = generation_ref(server->current);
	if (renew(server, &server->pending)) {
		publish_pending(server, SERVER_RENEWED);
		return;
	}
	generation_unref(server->pending);
	server->pending = NULL;
}

/* ---- In force ---- */

struct novelty {
	struct server *server;
	const struct generation *old;
	size_t waiting; /* no attempt has ended yet */
};

/* Of one that was tried at this start the library has just told. */
static void
say_degraded(const struct novelty *novelty, const struct judge_opinion *opinion)
{
	struct server *server = novelty->server;
	bool settled = opinion->info.settled;
	char why[ERR_TEXT_MAX / 2];

	if (settled ? novelty->old == NULL : novelty->waiting > NAMED_MAX)
		return;
	judge_explain(&opinion->info, why, sizeof(why));
	log_warning(server->parts.log, "ocsp", "serving without a staple",
	    LOG_S("listener", opinion->user->name),
	    LOG_S("cert", opinion->info.name), LOG_S("reason", why));
}

static void
say_new(const struct novelty *novelty, const struct judge_opinion *opinion)
{
	struct server *server = novelty->server;
	const struct config_listener *listener = opinion->user;
	const struct staple_info *info = &opinion->info;

	if (opinion->verdict == VERDICT_DEGRADED)
		say_degraded(novelty, opinion);
	if (listener->ocsp == OCSP_MODE_NEVER && info->must_staple)
		log_warning(server->parts.log, "ocsp",
		    "the certificate demands a staple (must-staple) and, by "
		    "ocsp = never, has none: strict clients will refuse it",
		    LOG_S("listener", listener->name),
		    LOG_S("cert", info->name));
	if (listener->ocsp == OCSP_MODE_PREFER &&
	    info->hindrance == STAPLE_NO_RESPONDER)
		log_info(server->parts.log, "ocsp",
		    "the certificate names no responder: it is not stapled",
		    LOG_S("listener", listener->name),
		    LOG_S("cert", info->name), LOG_S("reason", info->said));
}

static void
say_waiting(const struct novelty *novelty, const struct judge_opinion *opinion)
{
	const struct staple_info *info = &opinion->info;
	char why[ERR_TEXT_MAX / 2] = "";

	if (info->hindrance != STAPLE_UNASKED)
		judge_explain(info, why, sizeof(why));
	log_notice(novelty->server->parts.log, "ocsp",
	    opinion->credential->identity
		? "renewed certificate waits for its staple; the old one "
		  "serves until an hour before its end"
		: "certificate waits for its staple and is not in service",
	    LOG_S("listener", opinion->user->name), LOG_S("cert", info->name),
	    LOG_S("file", opinion->credential->id.cert),
	    LOG_S("reason", why[0] ? why : "no staple yet"));
}

static void
say_one(void *arg, const struct judge_opinion *opinion)
{
	const struct novelty *novelty = arg;

	if (opinion->renewal)
		say_waiting(novelty, opinion);
	else if (novelty->old == NULL ||
		 !generation_has(novelty->old, opinion->identity))
		say_new(novelty, opinion);
}

static void
count_waiting(void *arg, const struct judge_opinion *opinion)
{
	struct novelty *novelty = arg;

	if (opinion->verdict == VERDICT_DEGRADED && !opinion->renewal &&
	    !opinion->info.settled &&
	    (novelty->old == NULL ||
		!generation_has(novelty->old, opinion->identity)))
		novelty->waiting++;
}

static void
say_all(struct novelty *novelty, const struct judge *judge)
{
	struct server *server = novelty->server;

	judge_each(judge, server->current, count_waiting, novelty);
	judge_each(judge, server->current, say_one, novelty);
	if (novelty->waiting > NAMED_MAX)
		log_notice(server->parts.log, "ocsp",
		    "start_wait is over, certificates are still queued for "
		    "their first staple",
		    LOG_N("certificates", novelty->waiting));
}

void
staples_published(struct server *server, const struct generation *old)
{
	const struct judge judge = judge_now(server, PHASE_RUNNING);
	struct novelty novelty = { .server = server, .old = old };

	staples_wait_no_more(server);
	ev_timer_stop(server->ev, &server->renewals);
	if (renew_is_waited_for(server->current)) {
		ev_timer_set(&server->renewals, RENEWALS_S, RENEWALS_S);
		ev_timer_start(server->ev, &server->renewals);
	}
	if (server->news != SERVER_RENEWED)
		say_all(&novelty, &judge);
}

static void
find_revoked(void *arg, const struct judge_opinion *opinion)
{
	struct server *server = arg;

	if (opinion->verdict != VERDICT_REVOKED || opinion->renewal)
		return;
	server->status = EXIT_REVOKED;
	log_error(server->parts.log, "ocsp",
	    "the certificate is revoked: the process ends",
	    LOG_S("listener", opinion->user->name),
	    LOG_S("cert", opinion->info.name),
	    LOG_S("said", opinion->info.said));
}

void
staples_look(struct server *server)
{
	const struct judge judge = judge_now(server, PHASE_RUNNING);

	if (server->state == SERVER_RUNNING) {
		judge_each(&judge, server->current, find_revoked, server);
		if (server->status == EXIT_REVOKED) {
			drain_begin(server);
			return;
		}
	}
	if (server->pending)
		reload_go_on(server);
	else if (server->state == SERVER_RUNNING && !server->publishing)
		renew_current(server);
}

static void
on_renewals(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)ev;
	(void)events;
	staples_look(watcher->data);
}

/*
 * Every look judges all certificates; so that thousands of answers do not make
 * thousands of looks at thousands, the next one waits for a time that grows
 * with their number.
 */
static void
on_stapled(struct ev_loop *ev, struct ev_async *watcher, int events)
{
	struct server *server = watcher->data;
	const struct generation *generation = server->pending ? server->pending
							      : server->current;
	double later_s = 0;

	(void)events;
	if (ev_is_active(&server->glance))
		return;
	if (generation)
		later_s = GLANCE_S * generation_holding_count(generation);
	ev_timer_set(&server->glance, later_s, 0.0);
	ev_timer_start(ev, &server->glance);
}

static void
on_glance(struct ev_loop *ev, struct ev_timer *watcher, int events)
{
	(void)ev;
	(void)events;
	staples_look(watcher->data);
}

void
staples_init(struct server *server)
{
	ev_timer_init(&server->patience, on_patience, 0.0, 0.0);
	server->patience.data = server;
	ev_timer_init(&server->wait_end, on_wait_end, 0.0, 0.0);
	server->wait_end.data = server;
	ev_timer_init(&server->extend, on_extend, 0.0, 0.0);
	server->extend.data = server;
	ev_timer_init(&server->renewals, on_renewals, 0.0, 0.0);
	server->renewals.data = server;
	ev_timer_init(&server->glance, on_glance, 0.0, 0.0);
	server->glance.data = server;
	ev_async_init(&server->stapled, on_stapled);
	server->stapled.data = server;
	ev_async_start(server->ev, &server->stapled);
}

void
staples_stop(struct server *server)
{
	staples_wait_no_more(server);
	ev_timer_stop(server->ev, &server->renewals);
	ev_timer_stop(server->ev, &server->glance);
}
