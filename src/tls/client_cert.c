/*
 * Client certificates inside a handshake: verification, allow_san and allow_cn,
 * resumption, and the facts for the log.  Listener threads.
 *
 * OpenSSL verifies a chain once, in a full handshake; a resumed session brings
 * the leaf and the old result.  So everything that can have changed since is
 * checked again here: dates, CRLs and the allow rules.
 *
 * Names are compared by their kind: host names and mail domains without case,
 * addresses as numbers, the rest byte by byte.  A host name with a wildcard in
 * a client's certificate matches nothing: "*.example.org" covers many hosts
 * and identifies none.
 */
#include "tls/client_cert.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "tls/asn1_time.h"
#include "tls/ca_store.h"
#include "tls/context.h"
#include "tls/error.h"
#include "tls/ticket.h"
#include "tls/tls_server.h"

/* ---- The common name ---- */

static const ASN1_STRING *
last_common_name(const X509_NAME *subject)
{
	const X509_NAME_ENTRY *last = NULL;
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	while (at >= 0) {
		last = X509_NAME_get_entry(subject, at);
		at = X509_NAME_get_index_by_NID(subject, NID_commonName, at);
	}
	return last ? X509_NAME_ENTRY_get_data(last) : NULL;
}

/* A name with a NUL counts as absent: a certificate for "root\0.example.net"
 * does not certify "root". */
char *
client_cert_name_of(const X509 *certificate)
{
	const ASN1_STRING *name = last_common_name(
	    X509_get_subject_name(certificate));
	unsigned char *text = NULL;
	int len;

	if (name == NULL)
		return NULL;
	ERR_set_mark(); /* we may be inside a handshake */
	len = ASN1_STRING_to_UTF8(&text, name);
	ERR_pop_to_mark();
	if (len > 0 && strlen((char *)text) == (size_t)len)
		return (char *)text;
	OPENSSL_free(text);
	return NULL;
}

/* ---- The allow rules ---- */

/* Not terminated. */
struct text {
	const char *bytes;
	size_t len;
};

/* A subject alternative name. */
struct san {
	int type; /* GEN_DNS, GEN_EMAIL, GEN_URI, GEN_IPADD */
	struct text text;
	struct addr addr; /* of a GEN_IPADD, which has no text */
};

struct allow_pattern {
	int type;
	struct text text;
	struct cidr range; /* of a GEN_IPADD */
};

static struct text
text_of(const char *string)
{
	return (struct text){ string, strlen(string) };
}

static struct text
without_front(struct text text, size_t count)
{
	return (struct text){ text.bytes + count, text.len - count };
}

static bool
begins_with(struct text text, const char *front)
{
	size_t len = strlen(front);

	return text.len >= len && memcmp(text.bytes, front, len) == 0;
}

static bool
is_same(struct text a, struct text b)
{
	return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

/* Only ASCII letters: the locale is C. */
static bool
is_same_host(struct text a, struct text b)
{
	return a.len == b.len && strncasecmp(a.bytes, b.bytes, a.len) == 0;
}

/* RFC 6125 section 6.4.3: "*." matches the whole first label, which must not be
 * empty. */
static bool
host_matches(struct text pattern, struct text name)
{
	const char *dot = memchr(name.bytes, '.', name.len);

	if (memchr(name.bytes, '*', name.len) != NULL)
		return false;
	if (!begins_with(pattern, "*."))
		return is_same_host(pattern, name);
	return dot != NULL && dot != name.bytes &&
	       is_same_host(without_front(pattern, 1),
		   without_front(name, (size_t)(dot - name.bytes)));
}

/* RFC 5321 section 2.4: the domain is compared without case, the local part,
 * which may contain a quoted @, with case. */
static bool
mail_matches(struct text pattern, struct text name)
{
	const char *at = memrchr(name.bytes, '@', name.len);
	const char *wanted = memrchr(pattern.bytes, '@', pattern.len);
	struct text local = { name.bytes, 0 }, one = { pattern.bytes, 0 };

	if (at == NULL || at == name.bytes || wanted == NULL)
		return false;
	local.len = (size_t)(at - name.bytes);
	one.len = (size_t)(wanted - pattern.bytes);
	return is_same_host(without_front(pattern, one.len),
		   without_front(name, local.len)) &&
	       (is_same(one, text_of("*")) || is_same(one, local));
}

/* How far the path segment goes that `text` begins with. */
static size_t
segment_length(struct text text)
{
	size_t len = 0;

	while (len < text.len && memchr("/?#", text.bytes[len], 3) == NULL)
		len++;
	return len;
}

/* All segments to the end, of which there is one at least. */
static bool
is_path(struct text text)
{
	return segment_length(text) > 0 &&
	       memchr(text.bytes, '?', text.len) == NULL &&
	       memchr(text.bytes, '#', text.len) == NULL;
}

/*
 * A * stands for the rest of one path segment (RFC 3986 section 3.3), which is
 * not empty; ** at the end for that and all segments behind it.  What follows
 * a * is a "/", or nothing (pattern_check_san), so there is one way to match.
 */
static bool
uri_matches(struct text pattern, struct text name)
{
	const char *star;
	size_t len;

	while ((star = memchr(pattern.bytes, '*', pattern.len)) != NULL) {
		len = (size_t)(star - pattern.bytes);
		if (name.len < len ||
		    memcmp(pattern.bytes, name.bytes, len) != 0)
			return false;
		pattern = without_front(pattern, len + 1);
		name = without_front(name, len);
		if (begins_with(pattern, "*"))
			return is_path(name);
		len = segment_length(name);
		if (len == 0)
			return false;
		name = without_front(name, len);
	}
	return is_same(pattern, name);
}

/* In a pattern "a.example." is a.example (RFC 1034 section 3.1); a certificate
 * may not contain it (RFC 5280 section 4.2.1.6). */
static struct text
without_root(struct text pattern)
{
	if (pattern.len > 0 && pattern.bytes[pattern.len - 1] == '.')
		pattern.len--;
	return pattern;
}

static struct allow_pattern
split_pattern(const char *pattern)
{
	static const struct {
		const char *prefix;
		int type;
	} kinds[] = {
		{ "dns:", GEN_DNS },
		{ "email:", GEN_EMAIL },
		{ "uri:", GEN_URI },
		{ "ip:", GEN_IPADD },
	};
	size_t i, len;

	for (i = 0; i < ARRAY_LEN(kinds); i++) {
		len = strlen(kinds[i].prefix);
		if (strncasecmp(pattern, kinds[i].prefix, len) == 0)
			return (struct allow_pattern){ .type = kinds[i].type,
				.text = text_of(pattern + len) };
	}
	return (
	    struct allow_pattern){ .type = GEN_DNS, .text = text_of(pattern) };
}

/* false: not a range; it matches nothing. */
static bool
read_pattern(struct allow_pattern *pattern, const char *text)
{
	*pattern = split_pattern(text);
	if (pattern->type == GEN_DNS)
		pattern->text = without_root(pattern->text);
	return pattern->type != GEN_IPADD ||
	       cidr_parse(&pattern->range, pattern->text.bytes, NULL);
}

static bool
name_matches(const struct allow_pattern *pattern, const struct san *name)
{
	switch (pattern->type) {
	case GEN_EMAIL:
		return mail_matches(pattern->text, name->text);
	case GEN_URI:
		return uri_matches(pattern->text, name->text);
	case GEN_IPADD:
		return cidr_contains(&pattern->range, &name->addr);
	default:
		return host_matches(pattern->text, name->text);
	}
}

/* RFC 5280 section 4.2.1.6: four octets, or sixteen. */
static bool
read_address(struct addr *addr, const ASN1_STRING *string)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(string);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	switch (ASN1_STRING_length(string)) {
	case sizeof(in.sin_addr):
		memcpy(&in.sin_addr, bytes, sizeof(in.sin_addr));
		addr_from_sockaddr(
		    addr, (const struct sockaddr *)&in, sizeof(in));
		return true;
	case sizeof(in6.sin6_addr):
		memcpy(&in6.sin6_addr, bytes, sizeof(in6.sin6_addr));
		addr_from_sockaddr(
		    addr, (const struct sockaddr *)&in6, sizeof(in6));
		return true;
	default:
		return false;
	}
}

/* false: no pattern can match it. */
static bool
read_name(struct san *name, const GENERAL_NAME *from)
{
	const ASN1_STRING *string;

	*name = (struct san){ .type = from->type };
	switch (from->type) {
	case GEN_IPADD:
		return read_address(&name->addr, from->d.iPAddress);
	case GEN_DNS:
	case GEN_EMAIL:
	case GEN_URI:
		string = from->d.ia5;
		break;
	default:
		return false;
	}
	name->text.bytes = (const char *)ASN1_STRING_get0_data(string);
	name->text.len = (size_t)ASN1_STRING_length(string);
	return name->text.len > 0 &&
	       memchr(name->text.bytes, '\0', name->text.len) == NULL;
}

static bool
any_matches(const char *text, const GENERAL_NAMES *names)
{
	const GENERAL_NAME *from;
	struct allow_pattern pattern;
	struct san name;
	int i;

	if (!read_pattern(&pattern, text))
		return false;
	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		from = sk_GENERAL_NAME_value(names, i);
		if (from->type == pattern.type && read_name(&name, from) &&
		    name_matches(&pattern, &name))
			return true;
	}
	return false;
}

static bool
san_matches(const struct config_strings *patterns, X509 *certificate)
{
	GENERAL_NAMES *names;
	bool found = false;
	size_t i;

	if (patterns->count == 0)
		return false;
	ERR_set_mark(); /* we may be inside a handshake */
	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	ERR_pop_to_mark();
	for (i = 0; names && !found && i < patterns->count; i++)
		found = any_matches(patterns->items[i], names);
	GENERAL_NAMES_free(names);
	return found;
}

static bool
cn_matches(const struct config_strings *patterns, const X509 *certificate)
{
	char *name = patterns->count > 0 ? client_cert_name_of(certificate)
					 : NULL;
	bool found = false;
	size_t i;

	for (i = 0; name && !found && i < patterns->count; i++)
		found = host_matches(
		    text_of(patterns->items[i]), text_of(name));
	OPENSSL_free(name);
	return found;
}

bool
client_cert_is_allowed(
    const struct config_listener *settings, X509 *certificate)
{
	if (settings->allow_san.count == 0 && settings->allow_cn.count == 0)
		return true;
	return san_matches(&settings->allow_san, certificate) ||
	       cn_matches(&settings->allow_cn, certificate);
}

/* ---- The full handshake ---- */

static bool
is_pinned(const struct tls_site *site, const X509 *certificate)
{
	return site->settings->verify != VERIFY_PINNED ||
	       ca_store_has(tls_context_ca_store(site->context), certificate);
}

int
client_cert_on_verify(int ok, X509_STORE_CTX *store)
{
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);
	const struct tls_site *site;
	const SSL *ssl;
	int result, depth = 0;

	if (!ok || X509_STORE_CTX_get_error_depth(store) > 0)
		return ok;
	ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	site = tls_site_of(ssl);
	result = ca_store_check_chain(tls_context_ca_store(site->context),
	    X509_STORE_CTX_get0_chain(store), clock_wall_ms() / 1000, &depth);
	if (result != X509_V_OK) {
		X509_STORE_CTX_set_error_depth(store, depth);
		X509_STORE_CTX_set_error(store, result);
		return 0;
	}
	if (!is_pinned(site, certificate)) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	if (client_cert_is_allowed(site->settings, certificate))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
client_cert_valid_until(struct ssl_st *ssl)
{
	const struct ca_store *ca_store = tls_context_ca_store(
	    tls_site_of(ssl)->context);
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int64_t until = INT64_MAX;
	const X509 *certificate;
	int i;

	if (chain == NULL && SSL_get0_peer_certificate(ssl) != NULL)
		return 0; /* not known */
	for (i = 0; i < sk_X509_num(chain); i++) {
		certificate = sk_X509_value(chain, i);
		until = earlier(
		    until, asn1_time_seconds(X509_get0_notAfter(certificate)));
		if (i == 0 || ca_store_checks_chain(ca_store))
			until = earlier(
			    until, ca_store_crl_end(ca_store, certificate));
	}
	return until;
}

/* ---- Resumption ---- */

/* Do the current settings accept this certificate, or none? */
static bool
is_acceptable(const struct tls_site *site, X509 *certificate)
{
	if (certificate == NULL)
		return site->settings->verify < VERIFY_REQUIRE;
	return is_pinned(site, certificate) &&
	       client_cert_is_allowed(site->settings, certificate);
}

bool
client_cert_may_resume(const struct tls_site *site,
    struct ssl_session_st *session, int64_t valid_until, int64_t now_s)
{
	const struct ca_store *ca_store = tls_context_ca_store(site->context);
	X509 *certificate = SSL_SESSION_get0_peer(session);

	if (site->settings->verify == VERIFY_NONE)
		return true;
	if (!is_acceptable(site, certificate))
		return false;
	return certificate == NULL ||
	       (now_s < valid_until &&
		   now_s < ca_store_crl_end(ca_store, certificate));
}

bool
client_cert_is_admitted(const struct tls_site *site, struct ssl_st *ssl)
{
	SSL_SESSION *session = SSL_get_session(ssl);
	struct ticket_appdata appdata;

	if (site->settings->verify == VERIFY_NONE)
		return true;
	if (session == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	if (!SSL_session_reused(ssl)) /* dates and CRLs were checked */
		return is_acceptable(site, SSL_get0_peer_certificate(ssl));
	return ticket_appdata_get(session, &appdata) &&
	       client_cert_may_resume(
		   site, session, appdata.valid_until, clock_wall_ms() / 1000);
}

/* ---- Facts ---- */

void
client_cert_facts(struct ssl_st *ssl, struct client_cert_facts *facts)
{
	bool has = SSL_get0_peer_certificate(ssl) != NULL;

	*facts = (struct client_cert_facts){
		.presented = has && !SSL_session_reused(ssl),
		.in_session = has,
		.verify_result = SSL_get_verify_result(ssl),
	};
}

void
client_cert_common_name(struct ssl_st *ssl, char *out, size_t max)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	char *name = certificate ? client_cert_name_of(certificate) : NULL;

	snprintf(out, max, "%s", name ? name : "");
	OPENSSL_free(name);
}

size_t
client_cert_der(struct ssl_st *ssl, uint8_t *out, size_t max)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	int len = certificate ? i2d_X509(certificate, NULL) : 0;

	if (len > 0 && (size_t)len <= max)
		len = i2d_X509(certificate, &out);
	else
		len = 0;
	tls_error_clear();
	return len > 0 ? (size_t)len : 0;
}
