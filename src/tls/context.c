/*
 * The SSL_CTX of the settings of a listener or host.  Built on the main thread,
 * immutable afterwards, read by the callbacks on the listener threads.
 *
 * Session caches are off: resumption is by tickets alone, so threads share
 * nothing per session.  A context has no certificate.  Thousands of names
 * differ only in theirs, and putting one into each connection takes two
 * microseconds.
 *
 * The built-in lists are Mozilla's server side TLS guidelines, version 5.7.  As
 * they advise, the client's order of ciphers wins among these: all are good,
 * and a client without AES instructions prefers ChaCha20.  A configured list
 * means its order, so then the server's order wins (with ChaCha20 still first
 * for a client that puts it first), unless prefer_server_ciphers decides.
 */
#include "tls/context.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "base/err.h"
#include "tls/ca_store.h"
#include "tls/client_cert.h"
#include "tls/error.h"
#include "tls/identity.h"
#include "tls/stream.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

/* ---- Versions, ciphers and groups ---- */

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

/* The keys that hold a list in OpenSSL's syntax. */
enum list_kind { LIST_CIPHERS, LIST_SUITES, LIST_GROUPS, LISTS };

static const char *const list_keys[LISTS] = {
	[LIST_CIPHERS] = "ciphers",
	[LIST_SUITES] = "ciphersuites",
	[LIST_GROUPS] = "groups",
};

static const char *
text_of(const struct config_listener *settings, enum list_kind list)
{
	if (list == LIST_CIPHERS)
		return settings->ciphers;
	return list == LIST_SUITES ? settings->ciphersuites : settings->groups;
}

static const struct config_where *
where_of(const struct config_listener *settings, enum list_kind list)
{
	static const enum config_key keys[LISTS] = {
		[LIST_CIPHERS] = KEY_CIPHERS,
		[LIST_SUITES] = KEY_CIPHERSUITES,
		[LIST_GROUPS] = KEY_GROUPS,
	};

	return config_where_of(settings->places, keys[list]);
}

/* An invalid value: file:line, key = value, and the sentence. */
static bool
refuse(struct err *err, const struct config_listener *config,
    enum list_kind list, const char *value, const char *sentence)
{
	const struct config_where *where = where_of(config, list);

	tls_error_set(err, "%s = %s: %s", list_keys[list], value, sentence);
	if (where->line > 0)
		err_prefix(err, "%s:%u", where->file, where->line);
	return false;
}

/* Mozilla's modern profile has no TLS 1.2 ciphers; a configured list has. */
static int
min_version_of(const struct config_listener *config)
{
	if (config->min_version == TLS_VERSION_1_3)
		return TLS1_3_VERSION;
	if (config->profile == PROFILE_MODERN && config->ciphers == NULL)
		return TLS1_3_VERSION;
	return TLS1_2_VERSION;
}

static bool
set_versions(struct ssl_ctx_st *context, const struct config_listener *config,
    struct err *err)
{
	int min = min_version_of(config);
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

static bool
is_taken(
    SSL_CTX *context, int (*set)(SSL_CTX *, const char *), const char *list)
{
	bool fine = set(context, list) == 1;

	tls_error_clear();
	return fine;
}

/* OpenSSL 3.0 refuses a whole list for one unknown name, so the list grows by
 * one name at a time.  kept has room for all names. */
static bool
keep_name(SSL_CTX *context, int (*set)(SSL_CTX *, const char *), char *kept,
    size_t max, const char *name)
{
	size_t len = strlen(kept);

	snprintf(kept + len, max - len, "%s%s", len > 0 ? ":" : "", name);
	if (is_taken(context, set, kept))
		return true;
	kept[len] = '\0';
	return false;
}

static bool
is_tls13(const SSL_CIPHER *cipher)
{
	return SSL_CIPHER_get_protocol_id(cipher) >> 8 == 0x13;
}

static size_t
count_suites(SSL_CTX *context)
{
	const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);
	size_t count = 0;
	int i;

	for (i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
		count += is_tls13(sk_SSL_CIPHER_value(ciphers, i));
	return count;
}

/* SSL_CTX_set_ciphersuites, but an unknown last name is an error, as in OpenSSL
 * 3.0; 3.5 skips it. */
static int
set_suites(SSL_CTX *context, const char *list)
{
	size_t names = 1;
	const char *at;

	for (at = list; *at != '\0'; at++)
		names += *at == ':';
	return SSL_CTX_set_ciphersuites(context, list) == 1 &&
	       count_suites(context) == names;
}

/* The macro casts its argument to char *, hence the copy. */
static int
set_group_list(SSL_CTX *context, const char *list)
{
	char *copy = strdup(list);
	int set = copy != NULL && SSL_CTX_set1_groups_list(context, copy) == 1;

	free(copy);
	return set;
}

/*
 * The names of a list that OpenSSL accepts; free() it.  "": none; NULL: no
 * memory.
 */
static char *
keep_known(
    SSL_CTX *context, int (*set)(SSL_CTX *, const char *), const char *wanted)
{
	char *names = strdup(wanted), *kept = calloc(1, strlen(wanted) + 1);
	char *rest = NULL, *name;
	size_t max = strlen(wanted) + 1; /* joined again, no longer */

	for (name = names && kept ? strtok_r(names, ": ,", &rest) : NULL;
	     name != NULL; name = strtok_r(NULL, ": ,", &rest))
		(void)keep_name(context, set, kept, max, name);
	if (names == NULL) {
		free(kept);
		kept = NULL;
	}
	free(names);
	return kept;
}

static bool
use_suites(SSL_CTX *context, const struct config_listener *config,
    const char *suites, struct err *err)
{
	char *kept;
	bool ok;

	if (set_suites(context, suites) == 1)
		return true;
	tls_error_clear();
	kept = keep_known(context, set_suites, suites);
	ok = kept != NULL && kept[0] != '\0';
	if (kept == NULL) {
		err_set(err, "out of memory");
	} else if (!ok) {
		refuse(err, config, LIST_SUITES, suites,
		    "this OpenSSL supports none of them (TLS 1.2 has its own "
		    "key, ciphers)");
	} else if (SSL_CTX_set_ciphersuites(context, kept) != 1) {
		tls_error_set(err, "this OpenSSL refuses the cipher suites");
		ok = false;
	}
	free(kept);
	return ok;
}

static bool
has_server_order(const struct config_listener *config)
{
	if (config->server_order == SERVER_ORDER_AUTO)
		return config->ciphers != NULL || config->ciphersuites != NULL;
	return config->server_order == SERVER_ORDER_YES;
}

static bool
set_ciphers(struct ssl_ctx_st *context, const struct config_listener *config,
    struct err *err)
{
	const char *ciphers = config->ciphers, *suites = config->ciphersuites;

	if (has_server_order(config))
		SSL_CTX_set_options(context,
		    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	if (ciphers == NULL)
		ciphers = CIPHERS_INTERMEDIATE;
	if (suites == NULL)
		suites = CIPHERSUITES;
	if (SSL_CTX_set_cipher_list(context, ciphers) != 1)
		return refuse(err, config, LIST_CIPHERS, ciphers,
		    "this OpenSSL supports none of them (TLS 1.3 has its own "
		    "key, ciphersuites)");
	return use_suites(context, config, suites, err);
}

const char *
tls_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

char *
tls_library_groups(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char *kept = NULL;

	if (context)
		kept = keep_known(context, set_group_list, GROUPS);
	tls_error_clear();
	SSL_CTX_free(context);
	return kept;
}

/* *taken: the groups that OpenSSL accepts, for SSL_set1_groups_list; free()
 * it. */
static bool
set_groups(struct ssl_ctx_st *context, const struct config_listener *config,
    char **taken, struct err *err)
{
	const char *wanted = config->groups != NULL ? config->groups : GROUPS;
	char *kept = keep_known(context, set_group_list, wanted);

	*taken = NULL;
	if (kept == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	if (kept[0] == '\0') {
		free(kept);
		return refuse(err, config, LIST_GROUPS, wanted,
		    "this OpenSSL supports none of them");
	}
	*taken = kept;
	return true;
}

/* ---- The context ---- */

enum {
	SECONDS_MAX = 7 * 24 * 3600,
	/* Servers usually permit 16 KiB; OpenSSL counts whole records. */
	SKIPPED_MAX_BYTES = 64 * 1024
};

struct tls_context {
	atomic_uint refs;

	/* fixed at creation */
	SSL_CTX *native;
	struct ca_store *ca_store; /* NULL: no clients are verified */
	int purpose;   /* X509_PURPOSE_...; 0: no clients are verified */
	char *groups;  /* for SSL_set1_groups_list */
	uint8_t *alpn; /* wire format, RFC 7301 section 3.1; NULL: none */
	unsigned alpn_len;
	uint8_t digest[32]; /* of its settings (tls_context_digest) */
};

static void
set_options(SSL_CTX *native)
{
	SSL_CTX_set_options(
	    native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* Without NO_AUTO_CHAIN OpenSSL searches a store for missing issuers
	 * in every full handshake. */
	SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS |
				     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				     SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_dh_auto(native, 1);
	/* No 0-RTT: a proxy cannot detect which requests may be replayed.  A
	 * previous server of this name may have offered it, and then the early
	 * data has to be skipped (RFC 8446 section 4.2.10). */
	SSL_CTX_set_max_early_data(native, 0);
	SSL_CTX_set_recv_max_early_data(native, SKIPPED_MAX_BYTES);
}

static bool
is_check(const unsigned char *offered, unsigned offered_len)
{
	static const char alone[] = STREAM_CHECK_PROTOCOL;
	unsigned len = sizeof(alone) - 1;

	return offered_len == 1 + len && offered[0] == len &&
	       memcmp(offered + 1, alone, len) == 0;
}

/*
 * RFC 7301 section 3.2: select the first of our protocols that the client
 * offers; none in common is fatal.  Not called without the extension.
 * Without `alpn` the extension is ignored.  A health check is accepted either
 * way, and gets no ticket.
 */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *offered, unsigned offered_len, void *arg)
{
	const struct tls_context *context = arg;
	unsigned char *chosen = NULL;

	if (is_check(offered, offered_len)) {
		SSL_set_num_tickets(ssl, 0);
		*out = offered + 1;
		*out_len = offered[0];
		return SSL_TLSEXT_ERR_OK;
	}
	if (context->alpn == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_select_next_proto(&chosen, out_len, context->alpn,
		context->alpn_len, offered,
		offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool
set_alpn(struct tls_context *context, const struct config_strings *alpn,
    struct err *err)
{
	size_t i, len, total = 0;

	if (alpn->count == 0)
		return true;
	for (i = 0; i < alpn->count; i++) {
		len = strlen(alpn->items[i]);
		if (len == 0 || len > UINT8_MAX) {
			err_set(err, "alpn = %s: a protocol has 1 to 255 bytes",
			    alpn->items[i]);
			return false;
		}
		total += 1 + len;
	}
	context->alpn = malloc(total);
	if (context->alpn == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	for (i = 0; i < alpn->count; i++) {
		len = strlen(alpn->items[i]);
		context->alpn[context->alpn_len] = (uint8_t)len;
		memcpy(
		    context->alpn + context->alpn_len + 1, alpn->items[i], len);
		context->alpn_len += 1 + (unsigned)len;
	}
	return true;
}

static int
verify_mode(enum config_verify verify)
{
	switch (verify) {
	case VERIFY_OPTIONAL:
		return SSL_VERIFY_PEER;
	case VERIFY_REQUIRE:
	case VERIFY_PINNED:
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	case VERIFY_NONE:
		break;
	}
	return SSL_VERIFY_NONE;
}

static bool
set_clients(struct tls_context *context, const struct config_listener *settings,
    struct ca_store *ca_store, struct err *err)
{
	STACK_OF(X509_NAME) *names = NULL;

	assert((settings->verify == VERIFY_NONE) == (ca_store == NULL));
	SSL_CTX_set_verify(context->native, verify_mode(settings->verify),
	    client_cert_on_verify);
	if (ca_store == NULL)
		return true;
	context->purpose = settings->client_purpose == CLIENT_PURPOSE_ANY
			       ? X509_PURPOSE_ANY
			       : X509_PURPOSE_SSL_CLIENT;
	SSL_CTX_set_purpose(context->native, context->purpose);
	context->ca_store = ca_store_ref(ca_store);
	/* The issuers of pinned certificates are not in ca_file: permit any CA
	 * (RFC 8446 section 4.2.4). */
	names = settings->verify == VERIFY_PINNED
		    ? sk_X509_NAME_new_null()
		    : SSL_dup_CA_list(ca_store_names(ca_store));
	if (names == NULL || SSL_CTX_set1_verify_cert_store(context->native,
				 ca_store_x509_store(ca_store)) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		tls_error_set(err, "no store of client CAs");
		return false;
	}
	SSL_CTX_set_client_CA_list(context->native, names);
	return true;
}

static void
set_resumption(SSL_CTX *native, const struct config_listener *settings)
{
	long seconds = (long)(settings->session_timeout_ms / 1000);

	/* Without tickets too: a connection can switch between a context with
	 * tickets and one without. */
	ticket_attach(native);
	if (!settings->tickets) {
		SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(native, 0);
		return;
	}
	/* RFC 8446 section 4.6.1: a ticket lasts seven days at most. */
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	SSL_CTX_set_timeout(native, seconds > 0 ? seconds : 1);
	SSL_CTX_set_num_tickets(native, 1);
}

static bool
fill(struct tls_context *context, const struct config_listener *settings,
    struct ca_store *ca_store, struct err *err)
{
	context->native = SSL_CTX_new(TLS_server_method());
	if (context->native == NULL) {
		tls_error_set(err, "no TLS context");
		return false;
	}
	set_options(context->native);
	set_resumption(context->native, settings);
	SSL_CTX_set_alpn_select_cb(context->native, on_alpn, context);
	tls_server_attach(context->native);
	return set_versions(context->native, settings, err) &&
	       set_ciphers(context->native, settings, err) &&
	       set_groups(context->native, settings, &context->groups, err) &&
	       set_clients(context, settings, ca_store, err) &&
	       set_alpn(context, &settings->alpn, err) &&
	       tls_context_digest(settings, ca_store, context->digest, err);
}

struct tls_context *
tls_context_new(const struct config_listener *settings,
    struct ca_store *ca_store, struct err *err)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	tls_error_clear();
	if (context == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	atomic_init(&context->refs, 1);
	if (!fill(context, settings, ca_store, err)) {
		tls_context_unref(context);
		context = NULL;
	}
	tls_error_clear(); /* a successful call can leave errors, too */
	return context;
}

struct tls_context *
tls_context_ref(struct tls_context *context)
{
	atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
	return context;
}

void
tls_context_unref(struct tls_context *context)
{
	if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1,
				   memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(context->native);
	ca_store_unref(context->ca_store);
	free(context->groups);
	free(context->alpn);
	free(context);
}

/* SSL_set1_param only adds: flags of the old context would stay set. */
static void
follow_param(SSL *ssl, SSL_CTX *native)
{
	X509_VERIFY_PARAM *from = SSL_CTX_get0_param(native);
	X509_VERIFY_PARAM *to = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_clear_flags(to, X509_VERIFY_PARAM_get_flags(to));
	X509_VERIFY_PARAM_set_flags(to, X509_VERIFY_PARAM_get_flags(from));
	X509_VERIFY_PARAM_set_depth(to, X509_VERIFY_PARAM_get_depth(from));
}

static void
follow_options(SSL *ssl, SSL_CTX *native)
{
	uint64_t wanted = SSL_CTX_get_options(native);

	SSL_clear_options(ssl, SSL_get_options(ssl) & ~wanted);
	SSL_set_options(ssl, wanted);
}

/* SSL_set_SSL_CTX switches certificates and their callback, ciphers, the store
 * and the names of CAs, the security level, ALPN and the status callback.  The
 * rest is switched here. */
bool
tls_context_apply(const struct tls_context *context, struct ssl_st *ssl)
{
	SSL_CTX *native = context->native;

	if (SSL_set_SSL_CTX(ssl, native) == NULL)
		return false;
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(native),
	    SSL_CTX_get_verify_callback(native));
	follow_param(ssl, native);
	/* 0 (no clients are verified) cannot be set as a purpose. */
	if (context->purpose != 0)
		SSL_set_purpose(ssl, context->purpose);
	follow_options(ssl, native);
	return SSL_set_min_proto_version(
		   ssl, SSL_CTX_get_min_proto_version(native)) == 1 &&
	       SSL_set_max_proto_version(
		   ssl, SSL_CTX_get_max_proto_version(native)) == 1 &&
	       SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(native)) == 1 &&
	       SSL_set1_groups_list(ssl, context->groups) == 1;
}

const struct ca_store *
tls_context_ca_store(const struct tls_context *context)
{
	return context->ca_store;
}

const uint8_t *
tls_context_digest_of(const struct tls_context *context)
{
	return context->digest;
}

struct ssl_ctx_st *
tls_context_native(const struct tls_context *context)
{
	return context->native;
}

/*
 * ---- The digest ----
 *
 * Files count by what was read from them (the digest of the CA store), so that
 * a renewed CRL makes another context and a moved file does not.
 */

static bool
add_policy(EVP_MD_CTX *state, const struct config_listener *settings)
{
	char *policy = config_tls_policy(settings);
	/* With the NUL, which ends it. */
	bool ok = policy != NULL &&
		  EVP_DigestUpdate(state, policy, strlen(policy) + 1) == 1;

	free(policy);
	return ok;
}

static bool
add_ca_store(EVP_MD_CTX *state, const struct ca_store *ca_store)
{
	return ca_store == NULL ||
	       EVP_DigestUpdate(state, ca_store_digest(ca_store), 32) == 1;
}

bool
tls_context_digest(const struct config_listener *settings,
    const struct ca_store *ca_store, uint8_t digest[32], struct err *err)
{
	EVP_MD_CTX *state = EVP_MD_CTX_new();
	bool ok = state != NULL &&
		  EVP_DigestInit_ex(state, EVP_sha256(), NULL) == 1 &&
		  add_policy(state, settings) &&
		  add_ca_store(state, ca_store) &&
		  EVP_DigestFinal_ex(state, digest, NULL) == 1;

	EVP_MD_CTX_free(state);
	if (!ok)
		tls_error_set(err, "no memory or no SHA-256");
	return ok;
}

/* ---- Names without effect ---- */

/* One name of a list; `wrong` becomes NULL when a site can use it. */
struct surveyed_name {
	char *text;
	const char *wrong;
};

/* One list of the configuration, with the names it consists of. */
struct surveyed_list {
	enum list_kind list;
	const struct config_where *where;
	struct surveyed_name *names;
	size_t count;
};

struct policy_survey {
	SSL_CTX *probe; /* for single names */
	struct surveyed_list *lists;
	size_t count;

	/* The last addition: thousands of names share it. */
	const SSL_CTX *context;
	const struct config_listener *settings;
	uint64_t seen; /* 1 << mask of kinds */
};

/* The parameters that a site offers. */
struct offer {
	bool tls12, tls13;
	STACK_OF(SSL_CIPHER) * ciphers; /* enabled, whatever the certificate */
	unsigned kinds;
};

static bool
is_same_place(const struct config_where *a, const struct config_where *b)
{
	if (a->line != b->line || a->file == NULL || b->file == NULL)
		return a->line == b->line && a->file == b->file;
	return strcmp(a->file, b->file) == 0;
}

struct policy_survey *
policy_survey_new(void)
{
	struct policy_survey *survey = calloc(1, sizeof(*survey));

	if (survey == NULL)
		return NULL;
	survey->probe = SSL_CTX_new(TLS_server_method());
	if (survey->probe != NULL)
		return survey;
	tls_error_clear();
	free(survey);
	return NULL;
}

static void
drop_names(struct surveyed_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		free(list->names[i].text);
	free(list->names);
}

void
policy_survey_free(struct policy_survey *survey)
{
	size_t i;

	if (survey == NULL)
		return;
	for (i = 0; i < survey->count; i++)
		drop_names(&survey->lists[i]);
	free(survey->lists);
	SSL_CTX_free(survey->probe);
	free(survey);
}

/* false: no memory. */
static bool
add_name(struct surveyed_list *list, const char *name)
{
	struct surveyed_name *grown = realloc(
	    list->names, (list->count + 1) * sizeof(list->names[0]));
	char *copy = strdup(name);

	if (grown != NULL)
		list->names = grown;
	if (grown == NULL || copy == NULL) {
		free(copy);
		return false;
	}
	grown[list->count].text = copy;
	grown[list->count].wrong = "";
	list->count++;
	return true;
}

/* An exclusion or a command in a cipher list: it may match nothing. */
static bool
is_operator(enum list_kind list, const char *name)
{
	return list == LIST_CIPHERS && strchr("!-+@", name[0]) != NULL;
}

static bool
split_names(struct surveyed_list *list, const char *text)
{
	char *names = strdup(text), *rest = NULL, *name;
	bool ok = names != NULL;

	for (name = ok ? strtok_r(names, ": ,;", &rest) : NULL;
	     ok && name != NULL; name = strtok_r(NULL, ": ,;", &rest))
		ok = is_operator(list->list, name) || add_name(list, name);
	free(names);
	return ok;
}

/* The list of this key at its file:line; added if new.  NULL: no memory. */
static struct surveyed_list *
find_list(struct policy_survey *survey, const struct config_listener *settings,
    enum list_kind list)
{
	const struct config_where *where = where_of(settings, list);
	struct surveyed_list *grown;
	size_t i;

	for (i = 0; i < survey->count; i++)
		if (survey->lists[i].list == list &&
		    is_same_place(survey->lists[i].where, where))
			return &survey->lists[i];
	grown = realloc(
	    survey->lists, (survey->count + 1) * sizeof(survey->lists[0]));
	if (grown == NULL)
		return NULL;
	survey->lists = grown;
	grown = &grown[survey->count];
	*grown = (struct surveyed_list){ .list = list, .where = where };
	if (split_names(grown, text_of(settings, list))) {
		survey->count++;
		return grown;
	}
	drop_names(grown);
	return NULL;
}

/* RFC 8422 section 5.10: EdDSA certificates go with ECDHE_ECDSA. */
static bool
has_kind_for(const SSL_CIPHER *cipher, unsigned kinds)
{
	const unsigned rsa = 1u << IDENTITY_RSA;
	const unsigned pss = 1u << IDENTITY_RSA_PSS;

	switch (SSL_CIPHER_get_auth_nid(cipher)) {
	case NID_auth_rsa:
		if (SSL_CIPHER_get_kx_nid(cipher) == NID_kx_rsa)
			return (kinds & rsa) != 0;
		return (kinds & (rsa | pss)) != 0;
	case NID_auth_ecdsa:
		return (kinds & ~(rsa | pss)) != 0;
	case NID_auth_any:
	case NID_auth_null:
		return true;
	default:
		return false;
	}
}

#define UNKNOWN "this OpenSSL does not support it"
#define EXCLUDED "the rest of the list or the security level excludes it"

/* NULL: probe has a usable cipher of this version. */
static const char *
check_taken(SSL_CTX *probe, const struct offer *offer, bool tls13)
{
	const STACK_OF(SSL_CIPHER) *taken = SSL_CTX_get_ciphers(probe);
	const char *wrong = EXCLUDED;
	const SSL_CIPHER *cipher;
	int i;

	for (i = 0; i < sk_SSL_CIPHER_num(taken); i++) {
		cipher = sk_SSL_CIPHER_value(taken, i);
		if (is_tls13(cipher) != tls13 ||
		    sk_SSL_CIPHER_find(
			offer->ciphers, (SSL_CIPHER *)(uintptr_t)cipher) < 0)
			continue;
		if (has_kind_for(cipher, offer->kinds))
			return NULL;
		wrong = "no certificate of the site has a key for it";
	}
	return wrong;
}

static const char *
check_cipher(SSL_CTX *probe, const struct offer *offer, const char *name)
{
	if (!is_taken(probe, SSL_CTX_set_cipher_list, name))
		return is_taken(probe, set_suites, name)
			   ? "it is of TLS 1.3: put it into ciphersuites"
			   : UNKNOWN;
	if (!offer->tls12)
		return "TLS 1.2 is not offered";
	return check_taken(probe, offer, false);
}

static const char *
check_suite(SSL_CTX *probe, const struct offer *offer, const char *name)
{
	if (!is_taken(probe, set_suites, name))
		return is_taken(probe, SSL_CTX_set_cipher_list, name)
			   ? "it is of TLS 1.2: put it into ciphers"
			   : UNKNOWN;
	if (!offer->tls13)
		return "TLS 1.3 is not offered";
	return check_taken(probe, offer, true);
}

/* The TLS versions of a group according to the providers; 0: no bound. */
struct group_range {
	const char *name;
	int min, max;
	bool found;
};

static int
on_group(const OSSL_PARAM params[], void *arg)
{
	struct group_range *range = arg;
	const OSSL_PARAM *name = OSSL_PARAM_locate_const(
	    params, OSSL_CAPABILITY_TLS_GROUP_NAME);
	const OSSL_PARAM *min = OSSL_PARAM_locate_const(
	    params, OSSL_CAPABILITY_TLS_GROUP_MIN_TLS);
	const OSSL_PARAM *max = OSSL_PARAM_locate_const(
	    params, OSSL_CAPABILITY_TLS_GROUP_MAX_TLS);
	const char *text = NULL;

	if (range->found || name == NULL ||
	    OSSL_PARAM_get_utf8_string_ptr(name, &text) != 1 ||
	    strcasecmp(text, range->name) != 0)
		return 1;
	range->found = min != NULL && max != NULL &&
		       OSSL_PARAM_get_int(min, &range->min) == 1 &&
		       OSSL_PARAM_get_int(max, &range->max) == 1;
	return 1;
}

static int
on_provider(OSSL_PROVIDER *provider, void *range)
{
	(void)OSSL_PROVIDER_get_capabilities(
	    provider, "TLS-GROUP", on_group, range);
	return 1;
}

static bool
is_in_range(const struct group_range *range, int version)
{
	return range->min >= 0 && range->max >= 0 &&
	       (range->min == 0 || range->min <= version) &&
	       (range->max == 0 || range->max >= version);
}

static const char *
check_group(SSL_CTX *probe, const struct offer *offer, const char *name)
{
	struct group_range range = { .name = name };

	if (!is_taken(probe, set_group_list, name))
		return UNKNOWN;
	/* OpenSSL 3.5 has prefixes: "*X25519" sends a key share of it. */
	range.name += strspn(name, "?*");
	OSSL_PROVIDER_do_all(NULL, on_provider, &range);
	tls_error_clear();
	if (!range.found ||
	    (offer->tls12 && is_in_range(&range, TLS1_2_VERSION)) ||
	    (offer->tls13 && is_in_range(&range, TLS1_3_VERSION)))
		return NULL;
	return offer->tls13 ? "it is not for TLS 1.3" : "it is not for TLS 1.2";
}

static const char *
check_name(struct policy_survey *survey, enum list_kind list,
    const struct offer *offer, const char *name)
{
	if (list == LIST_CIPHERS)
		return check_cipher(survey->probe, offer, name);
	return list == LIST_SUITES ? check_suite(survey->probe, offer, name)
				   : check_group(survey->probe, offer, name);
}

/* Is there a cipher of this version for the certificates? */
static bool
has_usable(const struct offer *offer, bool tls13)
{
	const SSL_CIPHER *cipher;
	int i;

	for (i = 0; i < sk_SSL_CIPHER_num(offer->ciphers); i++) {
		cipher = sk_SSL_CIPHER_value(offer->ciphers, i);
		if (is_tls13(cipher) == tls13 &&
		    has_kind_for(cipher, offer->kinds))
			return true;
	}
	return false;
}

static bool
leaves_nothing(const struct offer *offer, enum list_kind list, size_t usable)
{
	if (list == LIST_CIPHERS)
		return offer->tls12 && !has_usable(offer, false);
	if (list == LIST_SUITES)
		return offer->tls13 && !has_usable(offer, true);
	return usable == 0;
}

static bool
survey_list(struct policy_survey *survey,
    const struct config_listener *settings, enum list_kind list,
    const struct offer *offer, struct err *err)
{
	struct surveyed_list *found = find_list(survey, settings, list);
	size_t i, usable = 0;
	const char *wrong;

	if (found == NULL) {
		err_set(err, "out of memory");
		return false;
	}
	for (i = 0; i < found->count; i++) {
		wrong = check_name(survey, list, offer, found->names[i].text);
		usable += wrong == NULL;
		if (found->names[i].wrong != NULL)
			found->names[i].wrong = wrong;
	}
	if (!leaves_nothing(offer, list, usable))
		return true;
	return refuse(err, settings, list, text_of(settings, list),
	    "none of them can be used with the versions and certificates "
	    "here");
}

/* Was the same combination added before? */
static bool
is_seen(struct policy_survey *survey, const SSL_CTX *context,
    const struct config_listener *settings, unsigned kinds)
{
	bool same = survey->context == context && survey->settings != NULL;
	enum list_kind list;

	for (list = 0; same && list < LISTS; list++)
		same = is_same_place(
		    where_of(settings, list), where_of(survey->settings, list));
	if (!same)
		survey->seen = 0;
	survey->context = context;
	survey->settings = settings;
	same = (survey->seen >> kinds & 1) != 0;
	survey->seen |= (uint64_t)1 << kinds;
	return same;
}

_Static_assert(IDENTITY_KINDS < 6, "a mask of kinds is a bit of `seen`");

bool
policy_survey_add(struct policy_survey *survey, struct ssl_ctx_st *context,
    const struct config_listener *settings, unsigned kinds, struct err *err)
{
	struct offer offer = {
		.tls12 = min_version_of(settings) == TLS1_2_VERSION,
		.tls13 = settings->max_version != TLS_VERSION_1_2,
		.kinds = kinds != 0 ? kinds : (1u << IDENTITY_KINDS) - 1,
	};
	SSL *ssl;
	enum list_kind list;
	bool ok = true;

	if (is_seen(survey, context, settings, kinds))
		return true;
	ssl = SSL_new(context);
	offer.ciphers = ssl != NULL ? SSL_get1_supported_ciphers(ssl) : NULL;
	if (ssl == NULL) {
		tls_error_set(err, "no TLS connection");
		return false;
	}
	for (list = 0; ok && list < LISTS; list++)
		ok = text_of(settings, list) == NULL ||
		     survey_list(survey, settings, list, &offer, err);
	sk_SSL_CIPHER_free(offer.ciphers);
	SSL_free(ssl);
	return ok;
}

void
policy_survey_report(const struct policy_survey *survey,
    void (*warn)(void *arg, const char *sentence), void *arg)
{
	const struct surveyed_list *list;
	struct err sentence;
	size_t i, k;

	for (i = 0; i < survey->count; i++) {
		list = &survey->lists[i];
		for (k = 0; k < list->count; k++) {
			if (list->names[k].wrong == NULL)
				continue;
			err_set(&sentence, "%s: %.200s has no effect: %s",
			    list_keys[list->list], list->names[k].text,
			    list->names[k].wrong);
			if (list->where->line > 0)
				err_prefix(&sentence, "%s:%u",
				    list->where->file, list->where->line);
			warn(arg, sentence.text);
		}
	}
}
