/*
 * allow_san and allow_cn.  Any thread; nothing is kept.  Names are compared as
 * their kind is: host names and mail domains without case, the rest exactly.
 * What a certificate says with a NUL or a wildcard in it is no name of anybody.
 */
#include "tls/allow.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/addr.h"
#include "base/err.h"

enum { TEXT_MAX = 1024 };

/* One name of a certificate, as text (or as bytes of an address). */
struct name {
	int type; /* GEN_DNS, GEN_EMAIL, GEN_URI, GEN_IPADD */
	char text[TEXT_MAX];
	struct addr addr;
};

/* The pattern behind its prefix; its kind. */
static int
split(const char **pattern)
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

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		len = strlen(kinds[i].prefix);
		if (strncasecmp(*pattern, kinds[i].prefix, len) == 0) {
			*pattern += len;
			return kinds[i].type;
		}
	}
	return GEN_DNS;
}

/* "*." stands for one label, and nothing less (RFC 6125 section 6.4.3). */
static bool
matches_host(const char *pattern, const char *name)
{
	const char *dot;

	if (strncmp(pattern, "*.", 2) != 0)
		return strcasecmp(pattern, name) == 0;
	dot = strchr(name, '.');
	return dot && dot != name && strcasecmp(pattern + 1, dot) == 0;
}

static bool
matches_mail(const char *pattern, const char *name)
{
	const char *at = strrchr(name, '@'), *wanted = strrchr(pattern, '@');
	size_t len;

	if (at == NULL || wanted == NULL || strcasecmp(at, wanted) != 0)
		return false;
	len = (size_t)(wanted - pattern);
	return strncmp(pattern, "*@", 2) == 0 ||
	       (len == (size_t)(at - name) && memcmp(pattern, name, len) == 0);
}

static bool
matches_uri(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(pattern, name, len - 1) == 0;
	return strcmp(pattern, name) == 0;
}

static bool
matches_address(const char *pattern, const struct addr *addr)
{
	struct cidr cidr;
	struct err err;

	return cidr_parse(&cidr, pattern, &err) && cidr_contains(&cidr, addr);
}

static bool
matches(const char *pattern, const struct name *name)
{
	if (split(&pattern) != name->type)
		return false;
	switch (name->type) {
	case GEN_DNS:
		return matches_host(pattern, name->text);
	case GEN_EMAIL:
		return matches_mail(pattern, name->text);
	case GEN_URI:
		return matches_uri(pattern, name->text);
	default:
		return matches_address(pattern, &name->addr);
	}
}

static bool
copy_text(struct name *name, const ASN1_STRING *string, bool is_host)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(string);
	size_t len = (size_t)ASN1_STRING_length(string);

	if (len == 0 || len >= TEXT_MAX || memchr(bytes, '\0', len) != NULL ||
	    (is_host && memchr(bytes, '*', len) != NULL))
		return false;
	memcpy(name->text, bytes, len);
	name->text[len] = '\0';
	return true;
}

static bool
copy_address(struct name *name, const ASN1_STRING *string)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(string);
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (ASN1_STRING_length(string) == (int)sizeof(v4.sin_addr)) {
		memcpy(&v4.sin_addr, bytes, sizeof(v4.sin_addr));
		addr_from_sockaddr(
		    &name->addr, (const struct sockaddr *)&v4, sizeof(v4));
		return true;
	}
	if (ASN1_STRING_length(string) != (int)sizeof(v6.sin6_addr))
		return false;
	memcpy(&v6.sin6_addr, bytes, sizeof(v6.sin6_addr));
	addr_from_sockaddr(
	    &name->addr, (const struct sockaddr *)&v6, sizeof(v6));
	return true;
}

/* false: nothing that a pattern could match. */
static bool
read_name(struct name *name, const GENERAL_NAME *from)
{
	name->type = from->type;
	switch (from->type) {
	case GEN_DNS:
		return copy_text(name, from->d.dNSName, true);
	case GEN_EMAIL:
		return copy_text(name, from->d.rfc822Name, false);
	case GEN_URI:
		return copy_text(
		    name, from->d.uniformResourceIdentifier, false);
	case GEN_IPADD:
		return copy_address(name, from->d.iPAddress);
	default:
		return false;
	}
}

static bool
any_matches(const struct config_strings *patterns, const struct name *name)
{
	size_t i;

	for (i = 0; i < patterns->count; i++)
		if (matches(patterns->items[i], name))
			return true;
	return false;
}

static bool
san_matches(const struct config_strings *patterns, X509 *certificate)
{
	GENERAL_NAMES *names;
	struct name name;
	bool found = false;
	int i;

	if (patterns->count == 0)
		return false;
	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (i = 0; !found && i < sk_GENERAL_NAME_num(names); i++)
		found = read_name(&name, sk_GENERAL_NAME_value(names, i)) &&
			any_matches(patterns, &name);
	GENERAL_NAMES_free(names);
	return found;
}

/* The last common name is the most specific one. */
static bool
cn_matches(const struct config_strings *patterns, X509 *certificate)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	struct name name = { .text = "" };
	int at = -1, next = -1;
	size_t i;

	while ((next = X509_NAME_get_index_by_NID(
		    subject, NID_commonName, next)) >= 0)
		at = next;
	if (at < 0 ||
	    !copy_text(&name,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)),
		true))
		return false;
	for (i = 0; i < patterns->count; i++)
		if (matches_host(patterns->items[i], name.text))
			return true;
	return false;
}

bool
allow_matches(const struct config_listener *settings, X509 *certificate)
{
	if (settings->allow_san.count == 0 && settings->allow_cn.count == 0)
		return true;
	return san_matches(&settings->allow_san, certificate) ||
	       cn_matches(&settings->allow_cn, certificate);
}
