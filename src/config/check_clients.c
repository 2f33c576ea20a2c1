/*
 * Who may come in: client certificates and PROXY headers.  A rule that would
 * not be applied is an error and no mere remark, as whoever wrote it relies
 * on it; but it may stand where only some of those below it need it.  Main
 * thread.
 */
#include <string.h>

#include "base/addr.h"
#include "config/build.h"
#include "config/report.h"
#include "config/source.h"

static bool
verifies(const struct config_listener *settings)
{
	return settings->verify != VERIFY_NONE;
}

static bool
revokes(const struct config_listener *settings)
{
	return settings->crl_file != NULL;
}

static bool
sends_v2(const struct config_listener *settings)
{
	return settings->proxy_out == PROXY_OUT_V2;
}

static bool
takes_headers(const struct config_listener *settings)
{
	return settings->proxy_in;
}

/* Keys that mean nothing without another. */
static const struct need {
	const char *key;
	bool (*is_met)(const struct config_listener *settings);
	const char *without;
} needs[] = {
	{ "crl_file", verifies, "verify = optional or require" },
	{ "crl_check", revokes, "crl_file" },
	{ "allow_san", verifies, "verify = optional or require" },
	{ "allow_cn", verifies, "verify = optional or require" },
	{ "proxy_tlv", sends_v2, "proxy_out = v2" },
	{ "proxy_trust", takes_headers, "proxy_in = yes" },
};

/* By the site itself, or by a host that takes it over? */
static bool
is_met_below(
    const struct need *need, const struct config_listener *settings)
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
	report_error(build->report, where, "%s does nothing without %s",
	    need->key, need->without);
}

static void
check_needs(const struct build *build, const struct site *site)
{
	const struct config_where *where;

	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		where = apply_said_here(build, site->layer, needs[i].key);
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
		where = apply_said(build, &build->tls, needs[i].key);
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
	    apply_said(build, site->layer, "ca_file") != NULL)
		return;
	report_error(build->report, &settings->verify_where,
	    "%s verifies clients but has no ca_file: name a PEM file with the "
	    "certificates of those who vouch for clients",
	    build_name(name, settings));
}

/* stunnel's requireCert goes with verifyChain, which requires one anyway. */
static void
check_require(const struct build *build, const struct site *site)
{
	const struct layer *layer = site->layer;
	const struct statement *wish;
	bool requires;

	while (layer != NULL && layer->require_cert == NULL)
		layer = layer->parent;
	if (layer == NULL)
		return;
	wish = layer->require_cert;
	requires = strchr("yYtT1oO", wish->value[0]) != NULL &&
		   strcasecmp(wish->value, "off") != 0;
	if (requires && site->settings->verify != VERIFY_REQUIRE)
		report_error(build->report, &wish->where,
		    "%s: nothing is verified without verifyChain = yes: write "
		    "verify = require instead",
		    wish->key);
	else if (!requires && site->settings->verify == VERIFY_REQUIRE)
		report_error(build->report, &wish->where,
		    "%s contradicts verify: write verify = optional alone "
		    "where clients may come without a certificate",
		    wish->key);
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
	const struct config_where *where = apply_said(
	    build, site->layer, "proxy_in");

	if (!listener->proxy_in || where == NULL || is_local_only(listener) ||
	    apply_said(build, site->layer, "proxy_trust") != NULL)
		return;
	report_error(build->report, where,
	    "listener %.64s would believe anyone's PROXY header: name the "
	    "proxies before it, such as proxy_trust = 10.0.0.0/8",
	    listener->name);
}

void
check_clients(const struct build *build)
{
	struct site site = { 0 };

	while (build_next_site(build, &site)) {
		check_needs(build, &site);
		check_trust(build, &site);
		check_require(build, &site);
		if (site.settings->pattern == NULL)
			check_proxy(build, &site);
	}
	check_default_needs(build);
}
