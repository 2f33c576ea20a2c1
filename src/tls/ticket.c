/*
 * Session tickets.  The callbacks run on the listener threads, inside
 * handshakes; rotation and loading on the main thread.  The lock covers copying
 * keys, nothing else: random bytes are drawn and files read before it, ciphers
 * set up after it.
 *
 * Each ticket carries the time of its first full handshake, although OpenSSL
 * keeps a time of its own.  In TLS 1.3 every resumption makes a new session
 * with a new time, so a client that returns often enough would never have to
 * authenticate again.
 *
 * A key file has lines of base64, not raw bytes: an editor can put the next key
 * in front with a comment beside it, and a truncated file is noticed.
 */
#include "tls/ticket.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mutex.h"
#include "tls/client_cert.h"
#include "tls/error.h"
#include "tls/pem.h"
#include "tls/tls_server.h"

enum {
	OWN_KEYS_MAX = 3, /* of the rotated keys */
	/* A wall clock that was set back by less is tolerated. */
	SKEW_MS = 60 * 1000,
	/* RFC 8446 section 4.6.1: no ticket lasts longer than seven days. */
	SECONDS_MAX = 7 * 24 * 3600
};

struct ticket_keys {
	atomic_uint refs;

	/* fixed at creation */
	EVP_CIPHER *cipher;
	ticket_clock_fn *now_ms;
	void *now_arg;
	struct mutex lock;

	/* under lock; the first one encrypts */
	struct ticket_key_set set;
};

/* ---- The key file ---- */

#define MAKE_ONE "openssl rand 80 | openssl base64 -A"

enum {
	FILE_MAX = 1024 * 1024,
	KEY_BYTES = sizeof(struct ticket_key),
	/* AES-128 keys of nginx and haproxy. */
	SHORT_BYTES = 48,
	/* The longest line that is decoded; base64 has 4 characters for 3
	 * bytes. */
	TEXT_MAX = 160,
	DECODED_MAX = TEXT_MAX / 4 * 3
};

_Static_assert(KEY_BYTES == 80, "a key is its bytes in the file");

/* One line, without its end. */
struct key_line {
	const char *path;
	unsigned number;
	const char *text;
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void
trim(struct key_line *line)
{
	while (line->len > 0 && is_blank(line->text[line->len - 1]))
		line->len--;
	while (line->len > 0 && is_blank(line->text[0])) {
		line->text++;
		line->len--;
	}
}

static size_t
count_padding(const struct key_line *line)
{
	size_t count = 0;

	while (count < 2 && count < line->len &&
	       line->text[line->len - 1 - count] == '=')
		count++;
	return count;
}

/* The number of bytes encoded by the base64 (RFC 4648 section 4); 0: it is
 * invalid.  EVP_DecodeBlock decodes padding as zeroes, in any place. */
static size_t
decode(const struct key_line *line, uint8_t bytes[DECODED_MAX])
{
	size_t padding = count_padding(line);
	int n;

	if (line->len > TEXT_MAX || line->len % 4 != 0 ||
	    memchr(line->text, '=', line->len - padding) != NULL)
		return 0;
	n = EVP_DecodeBlock(
	    bytes, (const unsigned char *)line->text, (int)line->len);
	return n > 0 ? (size_t)n - padding : 0;
}

static bool
check_length(const struct key_line *line, size_t len, struct err *err)
{
	if (len == KEY_BYTES)
		return true;
	if (len == SHORT_BYTES)
		err_set(err,
		    "%s:%u: a key of 48 bytes is for AES-128, as nginx and "
		    "haproxy have it; this takes 80 bytes: " MAKE_ONE,
		    line->path, line->number);
	else
		err_set(err,
		    "%s:%u: a ticket key is a line with the base64 of 80 "
		    "bytes; make one with: " MAKE_ONE,
		    line->path, line->number);
	return false;
}

static bool
check_name(const struct ticket_key_set *set, const struct ticket_key *key,
    const struct key_line *line, struct err *err)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (memcmp(set->keys[i].name, key->name, sizeof(key->name)) ==
		    0) {
			err_set(err,
			    "%s:%u: this key has the name (the first 16 "
			    "bytes) of one above it; make another with: " MAKE_ONE,
			    line->path, line->number);
			return false;
		}
	return true;
}

static bool
add_key(struct ticket_key_set *set, const struct ticket_key *key,
    const struct key_line *line, struct err *err)
{
	if (!check_name(set, key, line, err))
		return false;
	if (set->count == TICKET_KEYS_MAX) {
		err_set(err,
		    "%s:%u: more than %d ticket keys; remove the oldest, "
		    "which are the last",
		    line->path, line->number, TICKET_KEYS_MAX);
		return false;
	}
	set->keys[set->count++] = *key;
	return true;
}

static bool
read_line(struct ticket_key_set *set, struct key_line *line, struct err *err)
{
	uint8_t bytes[DECODED_MAX];
	struct ticket_key key;
	bool ok;

	trim(line);
	if (line->len == 0 || line->text[0] == '#')
		return true;
	ok = check_length(line, decode(line, bytes), err);
	if (ok) {
		memcpy(&key, bytes, sizeof(key));
		ok = add_key(set, &key, line, err);
		OPENSSL_cleanse(&key, sizeof(key));
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

static bool
read_lines(struct ticket_key_set *set, const struct secret *text,
    const char *path, struct err *err)
{
	const char *at = text->data, *end = text->data + text->len;
	struct key_line line = { .path = path };

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (stop == NULL)
			stop = end;
		line.number++;
		line.text = at;
		line.len = (size_t)(stop - at);
		if (!read_line(set, &line, err))
			return false;
		at = stop < end ? stop + 1 : end;
	}
	if (set->count > 0)
		return true;
	err_set(err, "%s has no ticket key; make one with: " MAKE_ONE, path);
	return false;
}

bool
ticket_key_set_read(struct ticket_key_set *set, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err)
{
	const struct secret_kind kind = { "file of ticket keys", FILE_MAX };
	struct err sentence;
	struct secret text;
	bool ok;

	*set = (struct ticket_key_set){ 0 };
	err_set(warning, "%s", "");
	ok = secret_read(&text, path, &kind, err) &&
	     read_lines(set, &text, path, err);
	if (ok) {
		ok = secret_check_mode(
		    "the ticket keys", path, text.mode, permissions, &sentence);
		err_set(ok ? warning : err, "%s", sentence.text);
	}
	secret_wipe(&text);
	return ok;
}

void
ticket_key_set_wipe(struct ticket_key_set *set)
{
	OPENSSL_cleanse(set, sizeof(*set));
}

/* ---- Keys ---- */

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
	struct ticket_key_set *set = &keys->set;

	memmove(&set->keys[1], &set->keys[0],
	    (OWN_KEYS_MAX - 1) * sizeof(set->keys[0]));
	set->keys[0] = *fresh;
	set->count = set->count < OWN_KEYS_MAX ? set->count + 1 : OWN_KEYS_MAX;
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
	/* Once here, not by name in every handshake. */
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
	ticket_key_set_wipe(&keys->set);
	free(keys);
}

void
ticket_keys_set_clock(
    struct ticket_keys *keys, ticket_clock_fn *now_ms, void *arg)
{
	keys->now_ms = now_ms;
	keys->now_arg = arg;
}

bool
ticket_keys_check(const char *path, enum config_key_permissions permissions,
    struct err *warning, struct err *err)
{
	struct ticket_key_set set;
	bool ok = ticket_key_set_read(&set, path, permissions, warning, err);

	ticket_key_set_wipe(&set);
	return ok;
}

bool
ticket_keys_load(struct ticket_keys *keys, const char *path,
    enum config_key_permissions permissions, struct err *warning,
    struct err *err)
{
	struct ticket_key_set set;
	bool ok = ticket_key_set_read(&set, path, permissions, warning, err);

	if (ok) {
		mutex_lock(&keys->lock);
		keys->set = set;
		mutex_unlock(&keys->lock);
	}
	ticket_key_set_wipe(&set);
	return ok;
}

void
ticket_keys_copy(struct ticket_keys *keys, struct ticket_key_set *set)
{
	mutex_lock(&keys->lock);
	*set = keys->set;
	mutex_unlock(&keys->lock);
}

void
ticket_keys_replace(struct ticket_keys *keys, const struct ticket_key_set *set)
{
	if (set->count == 0)
		return;
	mutex_lock(&keys->lock);
	keys->set = *set;
	mutex_unlock(&keys->lock);
}

/* ---- The appdata of a ticket ---- */

/*
 * Two numbers, big-endian, and the scope.  The layout is fixed and has no
 * version: a ticket of another layout has another length and costs its client a
 * full handshake.
 */
enum { APPDATA_BYTES = 8 + 8 + 32 };

static void
put_number(uint8_t *to, int64_t number)
{
	uint64_t bits = (uint64_t)number;
	int i;

	for (i = 7; i >= 0; i--, bits >>= 8)
		to[i] = (uint8_t)bits;
}

static int64_t
get_number(const uint8_t *from)
{
	uint64_t bits = 0;
	int i;

	for (i = 0; i < 8; i++)
		bits = bits << 8 | from[i];
	return (int64_t)bits;
}

bool
ticket_appdata_get(
    struct ssl_session_st *session, struct ticket_appdata *appdata)
{
	void *data = NULL;
	size_t len = 0;
	const uint8_t *bytes;

	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 ||
	    len != APPDATA_BYTES)
		return false;
	bytes = data;
	appdata->handshake_ms = get_number(bytes);
	appdata->valid_until = get_number(bytes + 8);
	memcpy(appdata->scope, bytes + 16, sizeof(appdata->scope));
	return true;
}

/* false: no memory. */
static bool
put_appdata(SSL_SESSION *session, const struct ticket_appdata *appdata)
{
	uint8_t bytes[APPDATA_BYTES];

	put_number(bytes, appdata->handshake_ms);
	put_number(bytes + 8, appdata->valid_until);
	memcpy(bytes + 16, appdata->scope, sizeof(appdata->scope));
	return SSL_SESSION_set1_ticket_appdata(session, bytes, APPDATA_BYTES) ==
	       1;
}

/* ---- Callbacks ---- */

/* Copy the first key (name NULL), or the key of that name.  Returns its place;
 * -1: none. */
static int
copy_key(struct ticket_keys *keys, const uint8_t *name, struct ticket_key *out)
{
	const struct ticket_key_set *set = &keys->set;
	int found = -1;
	size_t i;

	mutex_lock(&keys->lock);
	for (i = 0; found < 0 && i < set->count; i++)
		if (name == NULL ||
		    memcmp(set->keys[i].name, name, sizeof(out->name)) == 0)
			found = (int)i;
	if (found >= 0)
		*out = set->keys[found];
	mutex_unlock(&keys->lock);
	return found;
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
set_encryption(struct ticket_keys *keys, struct ticket_key *key, uint8_t *name,
    uint8_t *iv, EVP_CIPHER_CTX *cipher)
{
	(void)copy_key(keys, NULL, key); /* there is always one */
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(keys->cipher)) != 1)
		return -1;
	memcpy(name, key->name, sizeof(key->name));
	return EVP_EncryptInit_ex2(cipher, keys->cipher, key->aes, iv, NULL) ==
		       1
		   ? 1
		   : -1;
}

/* 0: unknown key; 1: decrypt; 2: decrypt and send a new ticket; -1: an
 * error. */
static int
set_decryption(struct ticket_keys *keys, struct ticket_key *key,
    const uint8_t *name, const uint8_t *iv, EVP_CIPHER_CTX *cipher)
{
	int place = copy_key(keys, name, key);

	if (place < 0)
		return 0;
	if (EVP_DecryptInit_ex2(cipher, keys->cipher, key->aes, iv, NULL) != 1)
		return -1;
	return place == 0 ? 1 : 2;
}

static int
on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int encrypting)
{
	/* The keys of the connection's site: the SNI may have moved it to
	 * another context than the one of this callback. */
	struct ticket_keys *keys = tls_site_of(ssl)->keys;
	struct ticket_key key;
	int result;

	result = encrypting ? set_encryption(keys, &key, name, iv, cipher)
			    : set_decryption(keys, &key, name, iv, cipher);
	if (result > 0 && !set_mac(mac, &key))
		result = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	/* A TLS 1.3 client should use each ticket once (RFC 8446 appendix
	 * C.4); OpenSSL sends the next one only after a 2. */
	if (result == 1 && !encrypting && SSL_version(ssl) == TLS1_3_VERSION)
		result = 2;
	return result;
}

static int64_t
now_of(const struct tls_site *site)
{
	return site->keys->now_ms(site->keys->now_arg);
}

/* OpenSSL's own lifetime counts from now and is the listener's, not the host's.
 * At least 1: OpenSSL decodes a ticket of 0 seconds as one of 3. */
static void
set_timeout(SSL_SESSION *session, int64_t left_ms)
{
	int64_t seconds = left_ms / 1000;

	if (seconds < 1)
		seconds = 1;
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	SSL_SESSION_set_timeout(session, (long)seconds);
}

/* OpenSSL is about to encrypt a ticket. */
static int
on_generate(SSL *ssl, void *arg)
{
	const struct tls_site *site = tls_site_of(ssl);
	SSL_SESSION *session = SSL_get_session(ssl);
	int64_t now_ms = now_of(site);
	struct ticket_appdata appdata;

	(void)arg;
	if (!ticket_appdata_get(session, &appdata)) {
		appdata.handshake_ms = now_ms;
		appdata.valid_until = client_cert_valid_until(ssl);
		memcpy(appdata.scope, site->scope, sizeof(appdata.scope));
		set_timeout(session, site->lifetime_ms);
		return put_appdata(session, &appdata);
	}
	/* A renewed ticket keeps its time, and its lifetime is the rest (RFC
	 * 8446 section 4.6.1).  In TLS 1.2 OpenSSL keeps the time of the
	 * session and sends no lifetime. */
	if (SSL_version(ssl) == TLS1_3_VERSION)
		set_timeout(session,
		    site->lifetime_ms - (now_ms - appdata.handshake_ms));
	return 1;
}

/*
 * RFC 6066 section 3: a session is resumed only with the SNI it began with, or
 * without one if it began without.  OpenSSL has not parsed the SNI yet when it
 * decrypts a ticket.
 */
static bool
has_same_sni(SSL *ssl, const SSL_SESSION *session)
{
	const char *hostname = SSL_SESSION_get0_hostname(session);
	const uint8_t *name = NULL;
	size_t len = 0;

	switch (client_hello_sni(ssl, &name, &len)) {
	case CLIENT_HELLO_NO_SNI:
		return hostname == NULL;
	case CLIENT_HELLO_SNI:
		return hostname != NULL && strlen(hostname) == len &&
		       strncasecmp(hostname, (const char *)name, len) == 0;
	case CLIENT_HELLO_BAD_SNI:
		break;
	}
	return false;
}

/* The checks of a full handshake, and those of RFC 6066. */
static bool
may_resume(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_site *site = tls_site_of(ssl);
	int64_t now_ms = now_of(site), age_ms;
	struct ticket_appdata appdata;

	if (!ticket_appdata_get(session, &appdata) ||
	    memcmp(appdata.scope, site->scope, sizeof(appdata.scope)) != 0)
		return false;
	age_ms = now_ms - appdata.handshake_ms;
	return age_ms >= -SKEW_MS && age_ms < site->lifetime_ms &&
	       has_same_sni(ssl, session) &&
	       client_cert_may_resume(
		   site, session, appdata.valid_until, now_ms / 1000);
}

/* OpenSSL has decrypted the ticket of a client, or failed to. */
static SSL_TICKET_RETURN
on_decrypted(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
    size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	(void)name;
	(void)name_len;
	(void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!may_resume(ssl, session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
					    : SSL_TICKET_RETURN_USE_RENEW;
}

void
ticket_attach(struct ssl_ctx_st *context)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_key);
	SSL_CTX_set_session_ticket_cb(context, on_generate, on_decrypted, NULL);
}
