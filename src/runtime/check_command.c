/*
 * clinch --test: load the files, contexts and names that a start would load,
 * and print them.  Main thread, the only one.
 *
 * As root the process then becomes the configured user: whether the files are
 * readable after the drop of privileges would otherwise show at the first
 * reload.  What is printed about stapling comes from libstaple and the policy
 * evaluation, so that it is what a start would find; no responder is contacted.
 */
#include "runtime/check_command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "opener/opener.h"
#include "proxy/service.h"
#include "runtime/build.h"
#include "runtime/cert_slot.h"
#include "runtime/expiry.h"
#include "runtime/generation.h"
#include "runtime/process.h"
#include "runtime/resolve.h"
#include "runtime/server.h"
#include "runtime/stapling.h"
#include "tls/identity.h"
#include "tls/tls_server.h"

/* ---- Stapling ---- */

static void
print_source(const struct config *config, const char *staple_file,
    const struct staple_info *info)
{
	size_t i;

	if (staple_file)
		printf(", from %s", staple_file);
	else
		printf(", %u responder%s", info->responders,
		    info->responders == 1 ? "" : "s");
	for (i = 0; !staple_file && i < config->ocsp.urls.count; i++)
		printf("%s%s", i ? ", " : ": ", config->ocsp.urls.items[i]);
	if (config->store_dir)
		printf(", saved in %s", config->store_dir);
	else
		printf(", not saved over restarts (no store_dir)");
}

static void
print_staple(const struct config *config, const struct cert_entry *entry,
    const struct staple_info *info)
{
	const struct cert_slot_key *id = &entry->slot->id;
	bool wanted = policy_requires_staple(&id->policy, info);
	char why[ERR_TEXT_MAX / 2];

	printf("certificate %s: %s: ocsp = %s, certificate %s must-staple",
	    info->name,
	    wanted && info->unavailable_reason == STAPLE_UNASKED
		? "stapled"
		: "not stapled",
	    stapling_mode_name(id->policy.mode),
	    info->must_staple ? "with" : "without");
	if (wanted && info->unavailable_reason == STAPLE_UNASKED) {
		print_source(config, id->staple_file, info);
	} else if (wanted || id->policy.mode == STAPLE_PREFER) {
		policy_explain(info, why, sizeof(why));
		printf(", %s", why);
	}
	printf("\n");
}

static void
print_staples(
    const struct stapling *stapling, const struct generation *generation)
{
	const struct cert_slot *slot;
	const struct identity *identity;
	const struct cert_entry *entry;
	struct staple_info info;
	size_t i;

	for (i = 0; i < generation_cert_count(generation); i++) {
		entry = generation_cert(generation, i);
		slot = entry->slot;
		identity = slot->identity ? slot->identity : slot->renewal;
		if (identity && stapling_state(stapling, identity, &info))
			print_staple(
			    generation_config(generation), entry, &info);
	}
}

static bool
is_folder(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return false;
	errno = ENOTDIR;
	return S_ISDIR(status.st_mode);
}

/* Can a start make the folders in it, as far as they are not there yet? */
static bool
can_hold_folders(const char *store_dir)
{
	static const char *const names[] = { "ocsp", "issuer" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", store_dir, names[i]);
		if (!is_folder(path) &&
		    (errno != ENOENT || !process_can_write(path)))
			return false;
	}
	return true;
}

static bool
check_store(const struct config *config)
{
	const struct config_where *where;

	if (config->store_dir == NULL ||
	    (is_folder(config->store_dir)
		    ? can_hold_folders(config->store_dir)
		    : errno == ENOENT && process_can_write(config->store_dir)))
		return true;
	where = config_where_of(config->places, KEY_GLOBAL_STORE_DIR);
	fprintf(stderr, "%s:%u: store_dir: %s cannot be used or created: %s\n",
	    where->file, where->line, config->store_dir, strerror(errno));
	return false;
}

/* ---- Services ---- */

static void
print_addresses(const struct config_listener *listener)
{
	char text[ADDR_TEXT_MAX];
	const char *comma = "";
	size_t i;

	if (listener->fd) {
		printf("inherited %s", listener->fd);
		comma = ", ";
	}
	for (i = 0; i < listener->accept.count; i++) {
		printf("%s%s", comma,
		    addr_print(
			&listener->accept.items[i].addr, text, sizeof(text)));
		comma = ", ";
	}
}

static void
print_backends(const struct config_listener *listener)
{
	size_t i;

	for (i = 0; i < listener->connect.count; i++)
		printf("%s%s", i ? ", " : "", listener->connect.items[i].text);
	printf(" (%s)", listener->balance == BALANCE_RR ? "rr" : "prio");
}

/* Only so many hosts are listed. */
#define SITES_SHOWN 20

static void
print_certificate(const struct identity *identity)
{
	time_t end = (time_t)identity_not_after(identity);
	char text[32] = "?";
	struct tm tm;

	if (gmtime_r(&end, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	printf("%s until %s (%s)", identity_name(identity), text,
	    identity_kind_name(identity_kind(identity)));
}

static void
print_certificates(const struct tls_site *site)
{
	const char *before = "certificate ";
	size_t kind;

	for (kind = 0; kind < IDENTITY_KINDS; kind++) {
		if (site->identities[kind] == NULL)
			continue;
		printf("%s", before);
		print_certificate(site->identities[kind]);
		before = " and ";
	}
	if (strcmp(before, " and ") != 0)
		printf("no certificate yet");
}

static void
print_clients(const struct config_listener *settings)
{
	if (settings->verify == VERIFY_NONE)
		return;
	printf(", client certificates %s %s",
	    settings->verify == VERIFY_PINNED    ? "required, one of"
	    : settings->verify == VERIFY_REQUIRE ? "required, by"
						 : "optional, by",
	    settings->ca_file);
	if (settings->crl_file)
		printf(", CRLs %s", settings->crl_file);
}

static const char *
version_name(enum config_tls_version version)
{
	return version == TLS_VERSION_1_2 ? "TLSv1.2" : "TLSv1.3";
}

static void
print_versions(const struct config_listener *listener)
{
	enum config_tls_version least = listener->min_version;
	const char *min, *max = version_name(listener->max_version);

	if (least == TLS_VERSION_ANY && listener->profile != PROFILE_MODERN)
		least = TLS_VERSION_1_2;
	min = version_name(least);
	if (strcmp(min, max) == 0)
		printf("%s", min);
	else
		printf("%s to %s", min, max);
}

static void
print_site(const struct service *service, size_t number)
{
	const struct config_listener *settings =
	    service->sites[number].settings;

	printf(" -> ");
	print_backends(settings);
	printf(", ");
	print_certificates(tls_server_site(service->tls, number));
	printf(", ");
	print_versions(settings);
	print_clients(settings);
	printf("\n");
}

/* Sites with the listener's own settings are names of its certificates. */
static void
print_hosts(const struct service *service)
{
	const struct config_listener *settings;
	size_t i, printed = 0;

	for (i = 1; i < service->site_count; i++) {
		settings = service->sites[i].settings;
		if (settings->pattern == NULL || printed++ >= SITES_SHOWN)
			continue;
		printf("  host %s", settings->pattern);
		print_site(service, i);
	}
	if (printed > SITES_SHOWN)
		printf("  and %zu more hosts\n", printed - SITES_SHOWN);
}

static void
print_service(const struct service *service)
{
	const struct config_listener *listener = service->listener;

	printf("listener %s: ", listener->name);
	print_addresses(listener);
	print_site(service, 0);
	print_hosts(service);
	if (listener->sni_unknown == SNI_REJECT)
		printf("  any other name is rejected\n");
}

static void
print_process(const struct config *config, const struct generation_parts *parts)
{
	uint32_t cap = config->max_connections;

	if (cap == 0)
		cap = process_default_connections(process_raise_descriptors());
	printf(
	    "process: %u threads, at most %u connections", parts->threads, cap);
	if (config->user)
		printf(", user %s", config->user);
	if (config->group)
		printf(", group %s", config->group);
	printf("\n");
}

static bool
check_access(const struct config *config, struct log *log, struct err *err)
{
	struct opener *opener;

	process_check_user(config, log);
	if (!load_opener(config, NULL, &opener, err))
		return false;
	if (geteuid() == 0 &&
	    !privilege_drop(config->user, config->group, false, err)) {
		opener_free(opener);
		return false;
	}
	process_check_readable(config, log);
	opener_free(opener);
	return true;
}

static bool
check_output(const struct config *config, const char *key, const char *path)
{
	if (process_can_write(path))
		return true;
	fprintf(stderr, "%s: %s: %s cannot be written: %s\n", config->file, key,
	    path, strerror(errno));
	return false;
}

/* Without a syslog daemon every line would be lost. */
static bool
check_syslog(const struct config *config)
{
	const char *key = "output";
	struct err err;

	if (strcmp(config->log.output, "syslog") != 0) {
		if (strcmp(config->log.access, "syslog") != 0)
			return true;
		key = "access";
	}
	if (log_reach_syslog(&err))
		return true;
	fprintf(stderr, "%s: %s: %s\n", config->file, key, err.text);
	return false;
}

/* Check all files that a start writes to before it drops privileges. */
static bool
check_outputs(const struct config *config)
{
	const struct config_log *log = &config->log;
	bool good = true;

	if (log_is_path(log->output))
		good &= check_output(config, "output", log->output);
	if (log_is_path(log->access))
		good &= check_output(config, "access", log->access);
	if (config->pid_file)
		good &= check_output(config, "pid", config->pid_file);
	good &= check_syslog(config);
	good &= check_store(config);
	return good;
}

/* Once for each certificate, however many names show it. */
static void
check_chains(const struct generation *generation, struct log *log)
{
	struct chain_check *check = chain_check_new();
	const struct cert_entry *entry;
	struct err sentence;
	size_t i;

	for (i = 0; check && i < generation_cert_count(generation); i++) {
		entry = generation_cert(generation, i);
		if (entry->slot->identity == NULL)
			continue;
		chain_check_run(check, entry->slot->identity, &sentence);
		if (sentence.text[0])
			log_warning(log, "tls", sentence.text,
			    LOG_S("listener", entry->settings->name),
			    LOG_S("file", entry->slot->id.cert));
	}
	chain_check_free(check);
}

static enum server_exit
check_generation(
    const struct config *config, const struct generation_parts *parts)
{
	struct generation_errors errors;
	struct generation *generation;
	enum server_exit status = EXIT_ASKED;
	struct err err;
	size_t i;

	generation = generation_build(
	    NULL, config, parts, GENERATION_CHECK, &errors);
	if (generation == NULL) {
		load_print_errors(&errors.all);
		status = errors.bad_config ? EXIT_BAD_CONFIG
					   : EXIT_START_FAILED;
		(void)check_outputs(config);
		goto out;
	}
	resolve_check(generation, parts->log);
	for (i = 0; i < generation_service_count(generation); i++)
		print_service(generation_service(generation, i));
	print_staples(parts->stapling, generation);
	check_chains(generation, parts->log);
	expiry_look(generation, parts->log, clock_wall_ms() / 1000);
	print_process(config, parts);
	if (!check_outputs(config)) {
		status = EXIT_START_FAILED;
		goto out;
	}
	if (!check_access(config, parts->log, &err)) {
		fprintf(stderr, "%s\n", err.text);
		status = EXIT_START_FAILED;
		goto out;
	}
	printf("%s: configuration is good\n", config->file);
out:
	generation_errors_free(&errors);
	generation_unref(generation);
	return status;
}

static enum server_exit
check_config(const struct config *config)
{
	struct generation_parts parts;
	enum server_exit status = EXIT_START_FAILED;
	struct err err = { "out of memory" };
	bool bad_config = false;

	memset(&parts, 0, sizeof(parts));
	/* To stderr whatever [log] sets: the operator is looking there. */
	parts.log = log_new();
	load_log_notes(parts.log, config, NULL);
	if (parts.log && load_parts(&parts, config, &err) &&
	    load_stapling(&parts, config, true, &bad_config, &err))
		status = check_generation(config, &parts);
	else
		fprintf(stderr, "%s\n", err.text);
	if (bad_config)
		status = EXIT_BAD_CONFIG;
	load_parts_fini(&parts);
	log_free(parts.log);
	return status;
}

/* ---- Beside errors of the configuration ---- */

/* Does an earlier listener or host have the same list? */
static bool
is_looked_at(const struct config *config, const struct config_listener *last,
    const struct config_paths *certs)
{
	const struct config_listener *listener = config->listeners;

	for (; listener != last; listener++)
		if (listener->certs.items == certs->items)
			return true;
	return false;
}

/* Unreadable files are reported already. */
static void
check_certificates_of(const struct config_listener *settings)
{
	const struct config_path *cert, *key;
	struct identity *identity;
	struct err err;
	size_t i;

	if (settings->keys.count != 0 &&
	    settings->keys.count != settings->certs.count)
		return;
	for (i = 0; i < settings->certs.count; i++) {
		cert = &settings->certs.items[i];
		key = config_key_of(settings, i);
		if (access(cert->path, R_OK) != 0 ||
		    access(key->path, R_OK) != 0)
			continue;
		identity = identity_load(cert->path, key->path,
		    settings->key_permissions, NULL, &err);
		if (identity == NULL)
			fprintf(stderr, "%s:%u: %s\n",
			    err_names(&err, cert->path) ? cert->where.file
							: key->where.file,
			    err_names(&err, cert->path) ? cert->where.line
							: key->where.line,
			    err.text);
		identity_unref(identity);
	}
}

/* Check the certificates even if the configuration has errors: one run reports
 * everything. */
static void
check_certificates(const struct config *config)
{
	const struct config_listener *listener;
	size_t i, k;

	for (i = 0; i < config->listener_count; i++) {
		listener = &config->listeners[i];
		if (!is_looked_at(config, listener, &listener->certs))
			check_certificates_of(listener);
		for (k = 0; k < listener->host_count; k++)
			if (listener->hosts[k].certs_own)
				check_certificates_of(&listener->hosts[k]);
	}
}

enum server_exit
check_command_run(const char *config_path)
{
	struct config_errors errors;
	const struct config *config;
	enum server_exit status = EXIT_BAD_CONFIG;

	memset(&errors, 0, sizeof(errors));
	config = config_load_any(config_path, &errors);
	load_print_errors(&errors);
	if (config && errors.list.count == 0)
		status = check_config(config);
	else if (config)
		check_certificates(config);
	config_errors_free(&errors);
	config_unref(config);
	return status;
}
