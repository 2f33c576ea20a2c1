/*
 * Session tickets.  The callbacks run on the listener threads, inside
 * handshakes; rotation on the main thread.  The lock covers copying one key,
 * nothing else: random bytes are drawn before it and ciphers set up after it.
 *
 * The decision to question is that each ticket carries the time of its first
 * full handshake, although OpenSSL keeps a time of its own: in TLS 1.3 every
 * resumption makes a new session with a new time, so a client that comes back
 * often enough would never again prove anything.
 */
#include "tls/ticket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mutex.h"
#include "tls/error.h"

enum {
	KEYS_KEPT = 3,
	POLICY_BYTES = 32,
	/* What a ticket carries: birth in ms, big-endian, then the policy. */
	APPDATA_BYTES = 8 + POLICY_BYTES,
	/* A wall clock that was set back by less is forgiven. */
	SKEW_MS = 60 * 1000
};

struct ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t hmac[32];
};

struct ticket_keys {
	atomic_uint refs;

	/* fixed at creation */
	EVP_CIPHER *cipher;
	ticket_clock_fn *now_ms;
	void *now_arg;
	struct mutex lock;

	/* under lock; the newest first */
	struct ticket_key keys[KEYS_KEPT];
	size_t count;
};

/* What a context has to do with tickets; lives and dies with it. */
struct scope {
	struct ticket_keys *keys;
	uint8_t policy[POLICY_BYTES];
	int64_t lifetime_ms;
};

static int scope_index = -1; /* of the ex-data; fixed once made */
static pthread_once_t scope_once = PTHREAD_ONCE_INIT;

static int64_t
wall_ms(void *arg)
{
	(void)arg;
	return clock_wall_ms();
}

static void push_locked(struct ticket_keys *keys,
    const struct ticket_key *fresh) REQUIRES(keys->lock);

static void
push_locked(struct ticket_keys *keys, const struct ticket_key *fresh)
{
	memmove(&keys->keys[1], &keys->keys[0],
	    (KEYS_KEPT - 1) * sizeof(keys->keys[0]));
	keys->keys[0] = *fresh;
	if (keys->count < KEYS_KEPT)
		keys->count++;
}

bool
ticket_keys_rotate(struct ticket_keys *keys, struct err *err)
{
	struct ticket_key fresh;

	if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 ||
	    RAND_priv_bytes(fresh.aes, sizeof(fresh.aes)) != 1 ||
	    RAND_priv_bytes(fresh.hmac, sizeof(fresh.hmac)) != 1) {
		tls_error_set(err, "no random bytes for a ticket key");
		OPENSSL_cleanse(&fresh, sizeof(fresh));
		return false;
	}
	mutex_lock(&keys->lock);
	push_locked(keys, &fresh);
	mutex_unlock(&keys->lock);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return true;
}

struct ticket_keys *
ticket_keys_new(struct err *err)
{
	struct ticket_keys *keys = calloc(1, sizeof(*keys));

	if (keys == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	atomic_init(&keys->refs, 1);
	mutex_init(&keys->lock);
	keys->now_ms = wall_ms;
	/* Once here rather than by name in every handshake. */
	keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (keys->cipher == NULL) {
		tls_error_set(err, "no AES-256-CBC for session tickets");
		goto fail;
	}
	if (!ticket_keys_rotate(keys, err))
		goto fail;
	return keys;
fail:
	ticket_keys_unref(keys);
	return NULL;
}

struct ticket_keys *
ticket_keys_ref(struct ticket_keys *keys)
{
	atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
	return keys;
}

void
ticket_keys_unref(struct ticket_keys *keys)
{
	if (keys == NULL || atomic_fetch_sub_explicit(
				&keys->refs, 1, memory_order_acq_rel) != 1)
		return;
	EVP_CIPHER_free(keys->cipher);
	mutex_fini(&keys->lock);
	OPENSSL_cleanse(keys->keys, sizeof(keys->keys));
	free(keys);
}

void
ticket_keys_set_clock(
    struct ticket_keys *keys, ticket_clock_fn *now_ms, void *arg)
{
	keys->now_ms = now_ms;
	keys->now_arg = arg;
}

/* Copy the signing key, or the one called `name`; its age, or -1. */
static int
copy_key(struct ticket_keys *keys, const uint8_t *name, struct ticket_key *out)
{
	int found = -1;
	size_t i;

	mutex_lock(&keys->lock);
	for (i = 0; found < 0 && i < keys->count; i++)
		if (name == NULL ||
		    memcmp(keys->keys[i].name, name, sizeof(out->name)) == 0)
			found = (int)i;
	if (found >= 0)
		*out = keys->keys[found];
	mutex_unlock(&keys->lock);
	return found;
}

static struct scope *
scope_of(SSL *ssl)
{
	/* Not the context that called back: a name may have switched it. */
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), scope_index);
}

static bool
set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_init(mac, key->hmac, sizeof(key->hmac), params) == 1;
}

static int
seal(struct scope *scope, struct ticket_key *key, uint8_t *name, uint8_t *iv,
    EVP_CIPHER_CTX *cipher)
{
	(void)copy_key(scope->keys, NULL, key); /* there is always one */
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(scope->keys->cipher)) != 1)
		return -1;
	memcpy(name, key->name, sizeof(key->name));
	return EVP_EncryptInit_ex2(
		   cipher, scope->keys->cipher, key->aes, iv, NULL) == 1
		   ? 1
		   : -1;
}

/* 0: not ours; 1: fine; 2: fine, and the client should get a new one. */
static int
unseal(struct scope *scope, struct ticket_key *key, const uint8_t *name,
    const uint8_t *iv, EVP_CIPHER_CTX *cipher)
{
	int age = copy_key(scope->keys, name, key);

	if (age < 0)
		return 0;
	if (EVP_DecryptInit_ex2(
		cipher, scope->keys->cipher, key->aes, iv, NULL) != 1)
		return -1;
	return age == 0 ? 1 : 2;
}

static int
on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int sealing)
{
	struct scope *scope = scope_of(ssl);
	struct ticket_key key;
	int result;

	if (scope == NULL)
		return 0;
	result = sealing ? seal(scope, &key, name, iv, cipher)
			 : unseal(scope, &key, name, iv, cipher);
	if (result > 0 && !set_mac(mac, &key))
		result = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	/* A TLS 1.3 client should use each ticket once (RFC 8446 appendix
	 * C.4), and OpenSSL sends the next one only if told to. */
	if (result == 1 && !sealing && SSL_version(ssl) == TLS1_3_VERSION)
		result = 2;
	return result;
}

static void
put_birth(uint8_t *to, int64_t birth)
{
	uint64_t bits = (uint64_t)birth;
	int i;

	for (i = 7; i >= 0; i--, bits >>= 8)
		to[i] = (uint8_t)bits;
}

static int64_t
get_birth(const uint8_t *from)
{
	uint64_t bits = 0;
	int i;

	for (i = 0; i < 8; i++)
		bits = bits << 8 | from[i];
	return (int64_t)bits;
}

/* What the session carries, NULL when it was never given anything. */
static const uint8_t *
appdata_of(SSL_SESSION *session)
{
	void *data = NULL;
	size_t len = 0;

	if (session == NULL ||
	    SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 ||
	    len != APPDATA_BYTES)
		return NULL;
	return data;
}

/* A ticket is about to be made. */
static int
on_give(SSL *ssl, void *arg)
{
	struct scope *scope = scope_of(ssl);
	SSL_SESSION *session = SSL_get_session(ssl);
	const uint8_t *held = appdata_of(session);
	uint8_t fresh[APPDATA_BYTES];
	int64_t left_ms, now;

	(void)arg;
	if (scope == NULL)
		return 1;
	now = scope->keys->now_ms(scope->keys->now_arg);
	if (held == NULL) {
		put_birth(fresh, now);
		memcpy(fresh + 8, scope->policy, POLICY_BYTES);
		return SSL_SESSION_set1_ticket_appdata(
		    session, fresh, sizeof(fresh));
	}
	/* A renewed ticket keeps its birth, and says how long it lasts: in
	 * TLS 1.3 OpenSSL counts the lifetime from now (RFC 8446 4.6.1). */
	left_ms = scope->lifetime_ms - (now - get_birth(held));
	if (SSL_version(ssl) == TLS1_3_VERSION && left_ms >= 1000)
		SSL_SESSION_set_timeout(session, (long)(left_ms / 1000));
	return 1;
}

static bool
is_valid(const struct scope *scope, const uint8_t *appdata)
{
	int64_t age;

	if (appdata == NULL ||
	    memcmp(appdata + 8, scope->policy, POLICY_BYTES) != 0)
		return false;
	age = scope->keys->now_ms(scope->keys->now_arg) - get_birth(appdata);
	return age >= -SKEW_MS && age < scope->lifetime_ms;
}

/* A ticket has come back. */
static SSL_TICKET_RETURN
on_return(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
    size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	struct scope *scope = scope_of(ssl);

	(void)name;
	(void)name_len;
	(void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (scope == NULL || !is_valid(scope, appdata_of(session)))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
					    : SSL_TICKET_RETURN_USE_RENEW;
}

static void
on_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index,
    long number, void *arg)
{
	struct scope *scope = pointer;

	(void)parent;
	(void)data;
	(void)index;
	(void)number;
	(void)arg;
	if (scope == NULL)
		return;
	ticket_keys_unref(scope->keys);
	free(scope);
}

static void
make_index(void)
{
	scope_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_free);
}

bool
ticket_attach(struct ticket_keys *keys, struct ssl_ctx_st *context,
    const uint8_t policy[32], uint32_t lifetime_ms, struct err *err)
{
	struct scope *scope = calloc(1, sizeof(*scope));

	pthread_once(&scope_once, make_index);
	if (scope == NULL || scope_index < 0 ||
	    SSL_CTX_set_ex_data(context, scope_index, scope) != 1) {
		free(scope);
		tls_error_set(err, "no memory for session tickets");
		return false;
	}
	scope->keys = ticket_keys_ref(keys);
	scope->lifetime_ms = lifetime_ms;
	memcpy(scope->policy, policy, POLICY_BYTES);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_key);
	SSL_CTX_set_session_ticket_cb(context, on_give, on_return, NULL);
	return true;
}
