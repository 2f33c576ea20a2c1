/*
 * What a link's server shows: a listener, its hosts, and certificates made on
 * the spot.  They are handed to identity_load in an anonymous memory file, so
 * no test leaves files behind.
 */
#include "tests/support/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/err.h"
#include "tls/ca_store.h"
#include "tls/context.h"

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "link: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

struct config_listener
link_config(void)
{
	return (struct config_listener){
		.name = "test",
		.min_version = TLS_VERSION_1_2,
		.tickets = true,
		.session_timeout_ms = 2 * 3600 * 1000,
	};
}

static struct identity *
load(const char *pem)
{
	size_t len = strlen(pem);
	int fd = memfd_create("identity", MFD_CLOEXEC);
	struct err err = { .text = "" };
	struct identity *identity;
	char path[64];

	must(fd >= 0 && write(fd, pem, len) == (ssize_t)len,
	    "writing the identity");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	identity = identity_load(path, NULL, KEYS_ANY, NULL, &err);
	must(identity != NULL, err.text);
	close(fd);
	return identity;
}

struct identity *
link_identity(const struct pki *pair, const char *chain)
{
	char *certificate = pki_certificate_pem(pair);
	char *key = pki_key_pem(pair);
	char *own = pki_join(certificate, key), *all = pki_join(own, chain);
	struct identity *identity = load(all);

	free(certificate);
	free(key);
	free(own);
	free(all);
	return identity;
}

struct tls_context *
link_context(const struct config_listener *config)
{
	struct err err = { .text = "" };
	struct ca_store *ca_store = NULL;
	struct tls_context *context;

	if (config->verify != VERIFY_NONE) {
		ca_store = ca_store_load(config->ca_file, config->crl_file,
		    config->crl_check, time(NULL), NULL, &err);
		must(ca_store != NULL, err.text);
	}
	context = tls_context_new(config, ca_store, &err);
	must(context != NULL, err.text);
	ca_store_unref(ca_store);
	return context;
}

static void
add_site(struct tls_server *server, const struct config_listener *config,
    struct identity *identity)
{
	struct identity *identities[IDENTITY_KINDS] = { NULL };
	struct tls_context *context = link_context(config);
	struct err err = { .text = "" };

	identities[identity_kind(identity)] = identity;
	must(tls_server_add(server, config, context, identities, &err),
	    err.text);
	tls_context_unref(context);
	must(config->pattern == NULL ||
		 tls_server_add_name(
		     server, config->pattern, tls_server_count(server) - 1),
	    "adding a name");
}

struct tls_server *
link_server_of(const struct config_listener *config, struct identity *identity,
    struct ticket_keys *keys)
{
	struct tls_server *server = tls_server_new(
	    config->host_count + 1, config->host_count, keys);
	size_t i;

	must(server != NULL, "making a server");
	add_site(server, config, identity);
	for (i = 0; i < config->host_count; i++)
		add_site(server, &config->hosts[i], identity);
	tls_server_seal(server, config->sni_unknown == SNI_REJECT);
	return server;
}

struct tls_server *
link_server(const struct config_listener *config, enum pki_key key,
    struct ticket_keys *keys)
{
	struct pki made = pki_make(
	    &(struct pki_wish){ .name = "localhost", .key = key });
	struct identity *identity = link_identity(&made, "");
	struct tls_server *server = link_server_of(config, identity, keys);

	identity_unref(identity);
	pki_drop(&made);
	return server;
}

struct ssl_ctx_st *
link_native(const struct tls_server *server)
{
	return tls_context_native(tls_server_site(server, 0)->context);
}
