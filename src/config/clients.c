/*
 * Who may come in: client certificates and PROXY headers.  A rule that would
 * not be applied is an error and no mere remark, as whoever wrote it relies
 * on it; but it may stand where only some of those below need it, and is then
 * forgotten by the others, so that none of them differs by what it does not
 * use.  Main thread.
 */
#include <string.h>

#include "base/addr.h"
#include "config/build.h"
#include "config/diagnostics.h"
#include "config/reader.h"

#define VERIFY "verify = optional, require or pinned"
#define FIELD(name)                             \
	offsetof(struct config_listener, name), \
	    sizeof(((struct config_listener *)0)->name)

static bool
verifies(const struct config_listener *settings)
{
	return settings->verify != VERIFY_NONE;
}

/* A default may always be said. */
static bool
revokes(const struct config_listener *settings)
{
	return (verifies(settings) && settings->crl_file != NULL) ||
	       settings->crl_check == CRL_CHECK_AVAILABLE;
}

static bool
checks_purpose(const struct config_listener *settings)
{
	return verifies(settings) ||
	       settings->client_purpose == CLIENT_PURPOSE_CLIENT;
}

static bool
sends_v2(const struct config_listener *settings)
{
	return settings->proxy_out == PROXY_OUT_V2 ||
	       settings->proxy_tlv ==
		   (PROXY_TLV_AUTHORITY | PROXY_TLV_ALPN | PROXY_TLV_SSL);
}

static bool
takes_headers(const struct config_listener *settings)
{
	return settings->proxy_in;
}

/* Keys that mean nothing without another. */
static const struct need {
	const char *key;
	size_t offset, size; /* of its field */
	bool (*is_met)(const struct config_listener *settings);
	const char *without;
} needs[] = {
	{ "crl_file", FIELD(crl_file), verifies, VERIFY },
	{ "crl_check", FIELD(crl_check), revokes, "verify and crl_file" },
	{ "client_purpose", FIELD(client_purpose), checks_purpose, VERIFY },
	{ "allow_san", FIELD(allow_san), verifies, VERIFY },
	{ "allow_cn", FIELD(allow_cn), verifies, VERIFY },
	{ "proxy_tlv", FIELD(proxy_tlv), sends_v2, "proxy_out = v2" },
	{ "proxy_trust", FIELD(proxy_trust), takes_headers, "proxy_in = yes" },
};

/* By the site itself, or by a host that takes it over? */
static bool
is_met_below(const struct need *need, const struct config_listener *settings)
{
	if (need->is_met(settings))
		return true;
	for (size_t i = 0; i < settings->host_count; i++)
		if (need->is_met(&settings->hosts[i]))
			return true;
	return false;
}

static void
report_vain(const struct build *build, const struct need *need,
    const struct config_where *where)
{
	diag_error(build->diag, where, "%s does nothing without %s", need->key,
	    need->without);
}

static void
check_needs(const struct build *build, const struct site *site)
{
	const struct config_where *where;

	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		where = layer_said_here(build, site->layer, needs[i].key);
		if (where != NULL && !is_met_below(&needs[i], site->settings))
			report_vain(build, &needs[i], where);
	}
}

static bool
is_met_anywhere(const struct build *build, const struct need *need)
{
	const struct config *config = build->config;

	for (size_t i = 0; i < config->listener_count; i++)
		if (is_met_below(need, &config->listeners[i]))
			return true;
	return false;
}

static void
check_default_needs(const struct build *build)
{
	const struct config_where *where;

	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		where = layer_said(build, &build->tls, needs[i].key);
		if (where != NULL && !is_met_anywhere(build, &needs[i]))
			report_vain(build, &needs[i], where);
	}
}

/* Whose word is it that clients are verified?  A host that takes over both
 * the wish and the lack of trust has nothing of its own to mend. */
static bool
verifies_itself(const struct site *site)
{
	return verifies(site->settings) &&
	       (site->settings->pattern == NULL || !verifies(site->listener));
}

static void
check_trust(const struct build *build, const struct site *site)
{
	const struct config_listener *settings = site->settings;
	char name[BUILD_NAME_MAX];

	/* What was said wrongly has been reported and is not missing. */
	if (!verifies_itself(site) || settings->ca_file != NULL ||
	    layer_said(build, site->layer, "ca_file") != NULL)
		return;
	diag_error(build->diag, &settings->verify_where,
	    "%s verifies clients but has no ca_file: name a PEM file with the "
	    "certificates of those who vouch for clients",
	    build_name(name, settings));
}

/* stunnel's requireCert goes with verifyChain and verifyPeer, which require
 * one anyway. */
static void
check_require(const struct build *build, const struct site *site)
{
	enum config_verify verify = site->settings->verify;
	const struct layer *layer = site->layer;

	while (layer != NULL && layer->require_cert == NULL)
		layer = layer->parent;
	if (layer == NULL)
		return;
	if (layer->requires_cert && verify == VERIFY_NONE)
		diag_error(build->diag, &layer->require_cert->where,
		    "%s: nothing is verified without verifyChain = yes: write "
		    "verify = require instead",
		    layer->require_cert->key);
	else if (layer->requires_cert != (verify >= VERIFY_REQUIRE) &&
		 verify != VERIFY_NONE)
		diag_error(build->diag, &layer->require_cert->where,
		    "%s: verify and verifyChain say otherwise: write verify "
		    "= optional or verify = require alone",
		    layer->require_cert->key);
}

/* The mode of a Unix socket decides who may connect to it. */
static bool
is_local_only(const struct config_listener *listener)
{
	for (size_t i = 0; i < listener->accept.count; i++)
		if (!addr_is_unix(&listener->accept.items[i].addr))
			return false;
	return listener->accept.count > 0;
}

static void
check_proxy(const struct build *build, const struct site *site)
{
	const struct config_listener *listener = site->settings;
	const struct config_where *where = layer_said(
	    build, site->layer, "proxy_in");

	if (!listener->proxy_in || where == NULL || is_local_only(listener) ||
	    layer_said(build, site->layer, "proxy_trust") != NULL)
		return;
	diag_error(build->diag, where,
	    "listener %.64s would believe anyone's PROXY header: name the "
	    "proxies before it, such as proxy_trust = 10.0.0.0/8",
	    listener->name);
}

static void
forget(const struct build *build, const struct need *need,
    struct config_listener *settings)
{
	memcpy((char *)settings + need->offset,
	    (const char *)&build->builtin + need->offset, need->size);
}

static void
forget_vain(const struct build *build, struct config_listener *listener)
{
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		if (is_met_below(&needs[i], listener))
			continue;
		forget(build, &needs[i], listener);
		for (size_t k = 0; k < listener->host_count; k++)
			forget(build, &needs[i], &listener->hosts[k]);
	}
}

void
clients_settle(const struct build *build)
{
	struct config *config = build->config;
	struct site site = { 0 };

	while (build_next_site(build, &site)) {
		check_needs(build, &site);
		check_trust(build, &site);
		check_require(build, &site);
		if (site.settings->pattern == NULL)
			check_proxy(build, &site);
	}
	check_default_needs(build);
	for (size_t i = 0; i < config->listener_count; i++)
		forget_vain(build, &config->listeners[i]);
}
