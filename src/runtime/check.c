/*
 * clinch --test: the same files, contexts and names a start would use, told in
 * words.  Main thread, the only one.  As root it then becomes the configured
 * user, for the one question a start would answer too late: can the files
 * still be read after the drop?
 */
#include "runtime/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config.h"
#include "proxy/service.h"
#include "runtime/check_staples.h"
#include "runtime/generation.h"
#include "runtime/load.h"
#include "runtime/privilege.h"
#include "runtime/process.h"
#include "runtime/resolve.h"
#include "tls/context.h"
#include "tls/identity.h"

static void
say_addresses(const struct config_listener *listener)
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
say_backends(const struct config_listener *listener)
{
	size_t i;

	for (i = 0; i < listener->connect.count; i++)
		printf("%s%s", i ? ", " : "", listener->connect.items[i].text);
	printf(" (%s)", listener->balance == BALANCE_RR ? "rr" : "prio");
}

static void
say_certificate(const struct identity *identity)
{
	time_t end = (time_t)identity_not_after(identity);
	char text[32] = "?";
	struct tm tm;

	if (gmtime_r(&end, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	printf("certificate %s until %s", identity_name(identity), text);
}

static const char *
version_name(enum config_tls_version version)
{
	return version == TLS_VERSION_1_2 ? "TLSv1.2" : "TLSv1.3";
}

static void
say_versions(const struct config_listener *listener)
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
say_service(const struct service *service, const struct generation_parts *parts)
{
	const struct config_listener *listener = service->listener;

	printf("listener %s: ", listener->name);
	say_addresses(listener);
	printf(" -> ");
	say_backends(listener);
	printf(", ");
	say_certificate(tls_context_identity(service->tls));
	printf(", ");
	say_versions(listener);
	printf("\n");
	check_say_staple(parts->stapling, service);
}

static void
say_process(const struct config *config, const struct generation_parts *parts)
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
	if (geteuid() == 0 &&
	    !privilege_drop(config->user, config->group, false, err))
		return false;
	process_check_readable(config, log);
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

/* What a start writes to, before it gives up the rights to.  All of it is
 * looked at, whatever the first one says. */
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
	good &= check_store(config);
	return good;
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

	generation = generation_build(NULL, config, parts, true, &errors);
	if (generation == NULL) {
		load_complain(&errors.all);
		status = errors.bad_config ? EXIT_BAD_CONFIG
					   : EXIT_START_FAILED;
		goto out;
	}
	resolve_check(generation, parts->log);
	for (i = 0; i < generation_service_count(generation); i++)
		say_service(generation_service(generation, i), parts);
	say_process(config, parts);
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
	/* To stderr whatever [log] says: the operator is looking here. */
	parts.log = log_new();
	load_say_notes(parts.log, config, NULL);
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

enum server_exit
check_run(const char *config_path)
{
	struct config_errors errors;
	const struct config *config;
	enum server_exit status = EXIT_BAD_CONFIG;

	memset(&errors, 0, sizeof(errors));
	config = config_load(config_path, &errors);
	load_complain(&errors);
	config_errors_free(&errors);
	if (config)
		status = check_config(config);
	config_unref(config);
	return status;
}
