/*
 * Names of hosts and clients.  What could never match is refused here with a
 * sentence: a rule that matches nobody locks everybody out, and a host that
 * nobody can ask for never shows its certificate.  Any thread.
 */
#include "config/pattern.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/err.h"

#define LABEL_MAX 63 /* RFC 1035 section 2.3.4 */

static bool
is_address(const char *text)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return strpbrk(text, "[:]") != NULL ||
	       inet_pton(AF_INET, text, bytes) == 1;
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* An underscore is no host name's, but clients use it all the same. */
static bool
is_name_byte(char byte)
{
	return isalnum((unsigned char)byte) || byte == '-' || byte == '_';
}

static bool
check_label(const char *label, size_t length, struct err *err)
{
	if (length == 0) {
		err_set(err, "there is nothing between two dots");
		return false;
	}
	if (length > LABEL_MAX) {
		err_set(err, "no part between dots is longer than %d bytes",
		    LABEL_MAX);
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (label[i] == '*') {
			err_set(err,
			    "a * stands for the whole first label and nothing "
			    "else: *.example.org");
			return false;
		}
		if (!is_name_byte(label[i])) {
			err_set(err, "a name holds no '%c'", label[i]);
			return false;
		}
	}
	return true;
}

/* The first `length` bytes of the name, behind which at most a dot stands. */
static bool
check_labels(const char *name, size_t length, struct err *err)
{
	for (;;) {
		size_t label = strcspn(name, ".");

		if (!check_label(name, label, err))
			return false;
		if (label >= length)
			return true;
		name += label + 1;
		length -= label + 1;
	}
}

static bool
check_kind(const char *text, struct err *err)
{
	if (!is_ascii(text))
		err_set(err,
		    "a name is ASCII: write its A-label, which begins with "
		    "xn--");
	else if (is_address(text))
		err_set(err,
		    "an address is no name: clients never send one as SNI "
		    "(RFC 6066)");
	else if (strcmp(text, "*") == 0 || strcmp(text, "*.") == 0)
		err_set(err,
		    "a * alone is every name: what holds for those belongs to "
		    "the listener");
	else
		return true;
	return false;
}

bool
pattern_normalise(
    char out[PATTERN_NAME_MAX + 1], const char *text, struct err *err)
{
	size_t length = strlen(text);
	size_t wild = strncmp(text, "*.", 2) == 0 ? 2 : 0;

	if (!check_kind(text, err))
		return false;
	if (length > wild && text[length - 1] == '.')
		length--;
	if (length > PATTERN_NAME_MAX) {
		err_set(
		    err, "no name is longer than %d bytes", PATTERN_NAME_MAX);
		return false;
	}
	if (!check_labels(text + wild, length - wild, err))
		return false;
	for (size_t i = 0; i < length; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[length] = '\0';
	return true;
}

/* A mailbox, or "*@" and a domain. */
static bool
check_mail(const char *text, struct err *err)
{
	const char *at = strrchr(text, '@');

	if (at != NULL && at != text && at[1] != '\0' &&
	    (strchr(text, '*') == NULL ||
		(text[0] == '*' && at == text + 1 && strchr(at, '*') == NULL)))
		return true;
	err_set(err, "\"%.64s\" is neither name@domain nor *@domain", text);
	return false;
}

/* "https://a.example*" would match https://a.example.net as well. */
static bool
is_in_host(const char *text, const char *star)
{
	const char *host = strstr(text, "://");

	return host != NULL &&
	       (star < host + 3 ||
		   memchr(host + 3, '/', (size_t)(star - host - 3)) == NULL);
}

/* A * at the end, a whole segment, or two of them behind the last "/". */
static bool
has_a_place(const char *text, const char *star)
{
	bool begins = star > text && star[-1] == '/';

	if (star[1] == '*')
		return begins && star[2] == '\0';
	return star[1] == '\0' || (begins && star[1] == '/');
}

static bool
check_uri(const char *text, struct err *err)
{
	const char *star = text;

	if (strchr(text, ':') == NULL) {
		err_set(err,
		    "\"%.64s\" is no URI: write its scheme, as in "
		    "spiffe://example.org/ns/a",
		    text);
		return false;
	}
	while ((star = strchr(star, '*')) != NULL) {
		if (is_in_host(text, star)) {
			err_set(err,
			    "\"%.64s\" would match other hosts as well: the * "
			    "stands for one path segment, as in https://host/*",
			    text);
			return false;
		}
		if (!has_a_place(text, star)) {
			err_set(err,
			    "\"%.64s\": a * stands for a whole path segment "
			    "or the end of the last one, ** for all segments "
			    "that follow: spiffe://host/ns/*/sa/a, "
			    "spiffe://host/**",
			    text);
			return false;
		}
		star += strspn(star, "*");
	}
	return true;
}

static bool
check_host(const char *text, struct err *err)
{
	char name[PATTERN_NAME_MAX + 1];

	if (is_address(text)) {
		err_set(err,
		    "\"%.64s\" is no name: write ip: before an address", text);
		return false;
	}
	if (pattern_normalise(name, text, err))
		return true;
	err_prefix(err, "\"%.64s\"", text);
	return false;
}

static bool
check_range(const char *text, struct err *err)
{
	struct cidr cidr;

	return cidr_parse(&cidr, text, err);
}

bool
pattern_check_san(const char *text, struct err *err)
{
	static const struct {
		const char *prefix;
		bool (*check)(const char *text, struct err *err);
	} kinds[] = {
		{ "dns:", check_host },
		{ "email:", check_mail },
		{ "uri:", check_uri },
		{ "ip:", check_range },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncasecmp(text, kinds[i].prefix, length) == 0)
			return kinds[i].check(text + length, err);
	}
	return check_host(text, err);
}
