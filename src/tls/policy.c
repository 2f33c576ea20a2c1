/*
 * Versions, ciphers and groups.  Main thread.  The built-in lists are
 * Mozilla's server side TLS guidelines, version 5.7.  As they advise, the
 * client's order of ciphers wins among these, all of which are good: a phone
 * without AES instructions knows best.  An operator who writes a list of his
 * own means its order, so then ours wins (with ChaCha20 still first for a
 * client that puts it first).
 */
#include "tls/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "tls/error.h"

#define CIPHERS_INTERMEDIATE                                         \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"       \
	"DHE-RSA-CHACHA20-POLY1305"
#define CIPHERSUITES                                     \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
	"TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519MLKEM768:X25519:P-256:P-384"

/* A refused value: where it was written, what it was, what is wrong. */
static bool
refuse(struct err *err, const struct config_where *where, const char *key,
    const char *value, const char *sentence)
{
	tls_error_set(err, "%s = %s: %s", key, value, sentence);
	if (where->file != NULL && where->line > 0)
		err_prefix(err, "%s:%u", where->file, where->line);
	return false;
}

/* Mozilla's modern has no ciphers for TLS 1.2; a list of one's own has. */
static int
lowest(const struct config_listener *config)
{
	if (config->min_version == TLS_VERSION_1_3)
		return TLS1_3_VERSION;
	if (config->profile == PROFILE_MODERN && config->ciphers == NULL)
		return TLS1_3_VERSION;
	return TLS1_2_VERSION;
}

bool
policy_set_versions(struct ssl_ctx_st *context,
    const struct config_listener *config, struct err *err)
{
	int min = lowest(config);
	int max = config->max_version == TLS_VERSION_1_2 ? TLS1_2_VERSION : 0;

	if (max != 0 && min > max) {
		err_set(err,
		    "max_version = TLSv1.2 leaves nothing: %s needs TLSv1.3",
		    config->min_version == TLS_VERSION_1_3
			? "min_version"
			: "profile = modern");
		return false;
	}
	if (SSL_CTX_set_min_proto_version(context, min) == 1 &&
	    SSL_CTX_set_max_proto_version(context, max) == 1)
		return true;
	tls_error_set(err, "this OpenSSL refuses the protocol versions");
	return false;
}

bool
policy_set_ciphers(struct ssl_ctx_st *context,
    const struct config_listener *config, struct err *err)
{
	const char *ciphers = config->ciphers, *suites = config->ciphersuites;

	if (ciphers != NULL || suites != NULL)
		SSL_CTX_set_options(context,
		    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	if (ciphers == NULL)
		ciphers = CIPHERS_INTERMEDIATE;
	if (suites == NULL)
		suites = CIPHERSUITES;
	if (SSL_CTX_set_cipher_list(context, ciphers) != 1)
		return refuse(err, &config->ciphers_where, "ciphers", ciphers,
		    "this OpenSSL knows none of them (TLS 1.3 has its own key, "
		    "ciphersuites)");
	if (SSL_CTX_set_ciphersuites(context, suites) != 1)
		return refuse(err, &config->ciphersuites_where, "ciphersuites",
		    suites, "this OpenSSL does not know all of them");
	return true;
}

/* OpenSSL 3.0 refuses a whole list for one name it does not know, so the
 * list grows by one name at a time.  kept has room for all of it. */
static bool
keep_group(struct ssl_ctx_st *context, char *kept, size_t max, const char *name)
{
	size_t len = strlen(kept);

	snprintf(kept + len, max - len, "%s%s", len > 0 ? ":" : "", name);
	if (SSL_CTX_set1_groups_list(context, kept) == 1)
		return true;
	tls_error_clear();
	kept[len] = '\0';
	return false;
}

static void
add_name(struct err *list, const char *name)
{
	struct err old;

	if (list == NULL)
		return;
	old = *list;
	err_set(
	    list, "%s%s%s", old.text, old.text[0] == '\0' ? "" : ", ", name);
}

/* names is cut up; on return kept holds the groups that were taken. */
static void
keep_groups(
    struct ssl_ctx_st *context, char *names, char *kept, struct err *left_out)
{
	size_t max = strlen(names) + 1; /* joined again, no longer */
	char *rest = NULL, *name;

	for (name = strtok_r(names, ": ,", &rest); name != NULL;
	     name = strtok_r(NULL, ": ,", &rest))
		if (!keep_group(context, kept, max, name))
			add_name(left_out, name);
}

bool
policy_set_groups(struct ssl_ctx_st *context,
    const struct config_listener *config, char **taken, struct err *warning,
    struct err *err)
{
	const char *wanted = config->groups != NULL ? config->groups : GROUPS;
	char *names = strdup(wanted), *kept = calloc(1, strlen(wanted) + 1);
	struct err left_out = { .text = "" };
	bool ok = names != NULL && kept != NULL;

	if (!ok) {
		err_set(err, "out of memory");
		goto out;
	}
	keep_groups(context, names, kept, &left_out);
	if (kept[0] == '\0')
		ok = refuse(err, &config->groups_where, "groups", wanted,
		    "this OpenSSL knows none of them");
	/* That a group of ours is newer than this OpenSSL is no one's fault. */
	else if (left_out.text[0] != '\0' && config->groups != NULL)
		err_set(warning, "groups not known to this OpenSSL: %s",
		    left_out.text);
out:
	free(names);
	if (!ok) {
		free(kept);
		kept = NULL;
	}
	*taken = kept;
	return ok;
}
