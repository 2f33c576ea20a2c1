/*
 * What a generation needs around it, made when a test runs.  One thread.
 */
#include "tests/support/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "proxy/limit.h"
#include "proxy/service.h"
#include "runtime/build.h"
#include "runtime/cert_slot.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

static void
need(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "site: %s\n", what);
	abort();
}

static void
write_pair(struct site *site, const char *name, const char *cert_file,
    const char *key_file)
{
	const struct pki_wish wish = { .name = name };
	struct pki pair = pki_make(&wish);
	char *cert = pki_certificate_pem(&pair);
	char *key = pki_key_pem(&pair);

	free(pki_write(&site->folder, cert_file, cert));
	free(pki_write(&site->folder, key_file, key));
	free(cert);
	free(key);
	pki_drop(&pair);
}

void
site_open(struct site *site, unsigned threads)
{
	memset(site, 0, sizeof(*site));
	pki_folder_make(&site->folder);
	write_pair(site, "site.example", "cert.pem", "key.pem");
	site->parts.threads = threads;
	site->parts.keys = ticket_keys_new(NULL);
	site->parts.process = limit_process_new();
	need(site->parts.keys && site->parts.process, "no memory");
}

void
site_close(struct site *site)
{
	ticket_keys_unref(site->parts.keys);
	limit_process_free(site->parts.process);
	pki_folder_remove(&site->folder);
}

void
site_add_other(struct site *site)
{
	write_pair(site, "other.example", "other.pem", "other-key.pem");
}

const struct config *
site_config(const struct site *site, const char *text)
{
	struct config_errors errors;
	const struct config *config;
	char name[128];

	memset(&errors, 0, sizeof(errors));
	snprintf(name, sizeof(name), "%s/clinch.ini", site->folder.path);
	config = config_parse(name, text, strlen(text), &errors);
	need(config != NULL,
	    errors.list.count ? errors.list.items[0] : "no configuration");
	config_errors_free(&errors);
	return config;
}

struct generation *
site_build(struct site *site, struct generation *old, const char *text,
    bool check_only)
{
	const struct config *config = site_config(site, text);
	struct generation_errors errors;
	struct generation *generation;

	generation = generation_build(old, config, &site->parts,
	    check_only ? GENERATION_CHECK : GENERATION_FULL, &errors);
	generation_errors_free(&errors);
	config_unref(config);
	return generation;
}

struct generation *
site_look_again(struct site *site, struct generation *old)
{
	struct generation_errors errors;
	struct generation *generation;

	generation = generation_build(old, generation_config(old), &site->parts,
	    GENERATION_FILES, &errors);
	generation_errors_free(&errors);
	return generation;
}

struct cert_slot *
site_slot(const struct generation *generation, size_t i)
{
	return generation_cert(generation, i)->slot;
}

const char *
site_shown(const struct generation *generation, size_t i, const char *name)
{
	const struct service *service = generation_service(generation, i);
	const struct tls_site *site = tls_server_find(
	    service->tls, name, strlen(name));
	size_t kind;

	for (kind = 0; site && kind < IDENTITY_KINDS; kind++)
		if (site->identities[kind])
			return identity_name(site->identities[kind]);
	return site ? "nothing" : "refused";
}
