/*
 * allow_san and allow_cn.  Any thread; nothing is kept.  Names are compared as
 * their kind is: host names and mail domains without case, addresses as
 * numbers, the rest byte by byte.  A host name with a wildcard in it is the
 * name of nobody: the certificate of "*.example.org" says that it may speak
 * for many, not which of them has come.
 */
#include "tls/allow.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/addr.h"
#include "base/err.h"
#include "tls/common_name.h"

/* Not terminated. */
struct text {
	const char *bytes;
	size_t len;
};

/* What a certificate says. */
struct name {
	int type; /* GEN_DNS, GEN_EMAIL, GEN_URI, GEN_IPADD */
	struct text text;
	struct addr addr; /* of a GEN_IPADD, which has no text */
};

struct pattern {
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

/* ASCII letters alone: the locale is C. */
static bool
is_same_host(struct text a, struct text b)
{
	return a.len == b.len && strncasecmp(a.bytes, b.bytes, a.len) == 0;
}

/* RFC 6125 section 6.4.3: "*." stands for the whole first label, of which
 * there must be one. */
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

/* RFC 5321 section 2.4: the domain has no case; the local part, which may hold
 * an @ in quotes, has. */
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

/* Whoever writes "a.example." means a.example (RFC 1034 section 3.1); in a
 * certificate nobody may (RFC 5280 section 4.2.1.6). */
static struct text
without_root(struct text pattern)
{
	if (pattern.len > 0 && pattern.bytes[pattern.len - 1] == '.')
		pattern.len--;
	return pattern;
}

static struct pattern
split(const char *pattern)
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
			return (struct pattern){ .type = kinds[i].type,
				.text = text_of(pattern + len) };
	}
	return (struct pattern){ .type = GEN_DNS, .text = text_of(pattern) };
}

/* false: no range, which nothing matches. */
static bool
read_pattern(struct pattern *pattern, const char *text)
{
	*pattern = split(text);
	if (pattern->type == GEN_DNS)
		pattern->text = without_root(pattern->text);
	return pattern->type != GEN_IPADD ||
	       cidr_parse(&pattern->range, pattern->text.bytes, NULL);
}

static bool
name_matches(const struct pattern *pattern, const struct name *name)
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

/* false: nothing that a pattern could match. */
static bool
read_name(struct name *name, const GENERAL_NAME *from)
{
	const ASN1_STRING *string;

	*name = (struct name){ .type = from->type };
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
	struct pattern pattern;
	struct name name;
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
	char *name = patterns->count > 0 ? common_name_of(certificate) : NULL;
	bool found = false;
	size_t i;

	for (i = 0; name && !found && i < patterns->count; i++)
		found = host_matches(
		    text_of(patterns->items[i]), text_of(name));
	OPENSSL_free(name);
	return found;
}

bool
allow_matches(const struct config_listener *settings, X509 *certificate)
{
	if (settings->allow_san.count == 0 && settings->allow_cn.count == 0)
		return true;
	return san_matches(&settings->allow_san, certificate) ||
	       cn_matches(&settings->allow_cn, certificate);
}
