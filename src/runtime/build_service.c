/*
 * What one listener section means: identity, TLS context, backends, limits.
 * Main thread.  A service whose configuration and identity did not change is
 * shared whole, which is what keeps memory level over many reloads.  A renewed
 * certificate that has no staple yet waits beside the old identity, which goes
 * on serving, whatever else the section says.
 */
#include "runtime/build.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "proxy/backend.h"
#include "proxy/limit.h"
#include "proxy/service.h"
#include "runtime/generation.h"
#include "runtime/generation_inner.h"
#include "runtime/judge.h"
#include "runtime/stapling.h"
#include "tls/context.h"
#include "tls/identity.h"

/* Which certificate serves, and which one is to replace it. */
struct choice {
	struct identity *serves;
	struct identity *waits; /* NULL: none */
};

static void
warn(const struct build *build, const struct config_listener *listener,
    const char *text)
{
	if (text[0])
		log_warning(build->parts->log, "tls", text,
		    LOG_S("listener", listener->name));
}

static struct service *
find_old(const struct build *build, const char *name)
{
	size_t i;

	for (i = 0; build->old && i < build->old->service_count; i++)
		if (strcmp(build->old->services[i]->listener->name, name) == 0)
			return build->old->services[i];
	return NULL;
}

static void
warn_of_expiry(const struct build *build,
    const struct config_listener *listener, const struct identity *identity)
{
	if (identity_not_after(identity) > build->now_s)
		return;
	log_warning(build->parts->log, "tls", "certificate has expired",
	    LOG_S("listener", listener->name),
	    LOG_S("cert", identity_name(identity)),
	    LOG_S("file", listener->cert));
}

/* Each line to mend: the key's when it is the key, or is missing as well. */
static void
fail_identity(struct build *build, const struct config_listener *listener,
    struct err *err)
{
	bool is_key = err_names(err, listener->key) &&
		      !err_names(err, listener->cert);

	build_fail(build, BLAME_CONFIG,
	    is_key ? &listener->key_where : &listener->cert_where, listener,
	    err);
	if (is_key || !listener->key || access(listener->key, R_OK) == 0)
		return;
	err_set_errno(err, errno, "cannot read %s", listener->key);
	build_fail(build, BLAME_CONFIG, &listener->key_where, listener, err);
}

static struct identity *
load_identity(struct build *build, const struct config_listener *listener)
{
	struct err err = { "" }, warning = { "" };
	struct identity *identity;

	identity = identity_load(listener->cert, listener->key,
	    listener->key_permissions, &warning, &err);
	if (identity == NULL) {
		fail_identity(build, listener, &err);
		return NULL;
	}
	warn(build, listener, warning.text);
	warn_of_expiry(build, listener, identity);
	return identity;
}

/* The library looks after this one from now on, if it can. */
static bool
watch(struct build *build, const struct config_listener *listener,
    const struct identity *identity)
{
	const struct judge judge = {
		.stapling = build->parts->stapling,
		.phase = build->old ? PHASE_RELOAD : PHASE_START,
		.before = build->old,
		.now_s = build->now_s,
	};
	const struct config_where *where = listener->ocsp_where.line > 0
					       ? &listener->ocsp_where
					       : &listener->cert_where;
	struct err err = { "" };

	if (!stapling_watch(build->parts->stapling, build->config, listener,
		identity, &err)) {
		build_fail(
		    build, BLAME_SYSTEM, &listener->cert_where, listener, &err);
		return false;
	}
	if (judge_may_ask(&judge, listener, identity, &err))
		return true;
	build_fail(build, BLAME_SYSTEM, where, listener, &err);
	return false;
}

static bool
keeps_out(const struct build *build, const struct config_listener *listener,
    const struct identity *renewed, const struct identity *served)
{
	const struct judge judge = {
		.stapling = build->parts->stapling,
		.now_s = build->now_s,
	};

	return judge_keeps_out(&judge, listener, renewed, served);
}

/*
 * The library keeps the strongest wish for each certificate object, so the old
 * object is used again only where what is wished has not changed.
 */
static bool
is_unchanged(const struct config_listener *listener,
    const struct identity *identity, const struct service *old)
{
	return config_listener_equal(old->listener, listener) &&
	       identity_equal(tls_context_identity(old->tls), identity);
}

/* The identity in the files, or for a while the one that serves already. */
static bool
choose(struct build *build, const struct config_listener *listener,
    struct service *old, struct choice *choice)
{
	struct identity *served = old ? tls_context_identity(old->tls) : NULL;

	choice->serves = load_identity(build, listener);
	if (choice->serves == NULL)
		return false;
	if (served && is_unchanged(listener, choice->serves, old)) {
		identity_unref(choice->serves);
		choice->serves = identity_ref(served);
	}
	if (!watch(build, listener, choice->serves))
		return false;
	if (served == NULL || identity_equal(served, choice->serves) ||
	    !keeps_out(build, listener, choice->serves, served))
		return true;
	choice->waits = choice->serves;
	choice->serves = identity_ref(served);
	return watch(build, listener, served);
}

/* The value of the TLS key whose line the sentence begins with; or NULL. */
static const char **
find_blamed(struct config_listener *listener, const struct err *err)
{
	if (config_where_begins(&listener->ciphers_where, err->text))
		return &listener->ciphers;
	if (config_where_begins(&listener->ciphersuites_where, err->text))
		return &listener->ciphersuites;
	if (config_where_begins(&listener->groups_where, err->text))
		return &listener->groups;
	return NULL;
}

/* Each refused key is left out in turn, to learn what is wrong besides. */
static void
fail_tls(struct build *build, const struct config_listener *listener,
    struct identity *identity, struct err *err)
{
	struct config_listener rest = *listener;
	struct tls_context *tls = NULL;
	const char **blamed;

	while (tls == NULL && (blamed = find_blamed(&rest, err)) && *blamed) {
		build_error(build, BLAME_CONFIG, err->text);
		*blamed = NULL;
		tls = tls_context_new(
		    &rest, identity, build->parts->keys, NULL, err);
	}
	if (tls == NULL)
		build_fail(
		    build, BLAME_CONFIG, &listener->where, listener, err);
	tls_context_unref(tls);
}

static struct tls_context *
make_context(struct build *build, const struct config_listener *listener,
    struct identity *identity)
{
	struct err err = { "" }, warning = { "" };
	struct tls_context *tls = tls_context_new(
	    listener, identity, build->parts->keys, &warning, &err);

	if (tls == NULL) {
		fail_tls(build, listener, identity, &err);
		return NULL;
	}
	warn(build, listener, warning.text);
	if (stapling_attach(build->parts->stapling, listener, tls, &err))
		return tls;
	build_fail(build, BLAME_SYSTEM, &listener->where, listener, &err);
	tls_context_unref(tls);
	return NULL;
}

static struct service *
make_service(struct build *build, const struct config_listener *listener,
    struct tls_context *tls, struct service *old)
{
	struct service *service = NULL;
	struct backends *backends = backends_new(listener);
	struct limit *limit;

	limit = old ? limit_ref(old->limit) : limit_new(build->parts->process);
	if (backends && limit) {
		if (old)
			backends_inherit(backends, old->backends);
		service = service_new(
		    build->config, listener, tls, backends, limit);
	}
	backends_unref(backends);
	limit_unref(limit);
	return service;
}

static struct service *
share_or_make(struct build *build, const struct config_listener *listener,
    struct identity *identity, struct service *old)
{
	struct err err = { "" };
	struct service *service;
	struct tls_context *tls;

	if (old && tls_context_identity(old->tls) == identity &&
	    config_listener_equal(old->listener, listener))
		return service_ref(old);
	tls = make_context(build, listener, identity);
	if (tls == NULL)
		return NULL;
	service = make_service(build, listener, tls, old);
	tls_context_unref(tls);
	if (service == NULL) {
		err_set(&err, "out of memory");
		build_fail(
		    build, BLAME_SYSTEM, &listener->where, listener, &err);
	}
	return service;
}

void
build_service(struct build *build, const struct config_listener *listener)
{
	struct service *old = find_old(build, listener->name);
	struct choice choice = { NULL, NULL };
	struct service *service = NULL;

	if (choose(build, listener, old, &choice))
		service = share_or_make(build, listener, choice.serves, old);
	if (service) {
		generation_add(build->fresh, service, choice.waits);
		choice.waits = NULL;
	}
	identity_unref(choice.serves);
	identity_unref(choice.waits);
}
