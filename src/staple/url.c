/*
 * URLs of responders.  Any thread.  They come from strangers' certificates and
 * go to libcurl, resolvers, logs and status pages, so only what RFC 3986
 * would write down gets in; whatever two parsers could read in two ways stays
 * out.
 */
#include "staple/cert.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/x509v3.h>

#include "staple/cert_inner.h"
#include "staple/text.h"

/* RFC 3986 2: the rest of ASCII must be percent-encoded. */
static bool
may_stand_in_url(unsigned char byte)
{
	return byte > ' ' && byte < 0x7f && strchr("\"<>\\^`{|}", byte) == NULL;
}

static bool
may_stand_in_host(unsigned char byte)
{
	return isalnum(byte) || byte == '-' || byte == '.' || byte == '_';
}

static bool
may_stand_in_address(unsigned char byte)
{
	return isxdigit(byte) || byte == ':' || byte == '.';
}

static size_t
span(const char *text, size_t len, bool (*may_stand)(unsigned char))
{
	size_t i = 0;

	while (i < len && may_stand((unsigned char)text[i]))
		i++;
	return i;
}

/* A name, an IPv4 address or an IPv6 one in brackets; 0: none of them. */
static size_t
host_length(const char *text, size_t len)
{
	size_t inside;

	if (len == 0 || text[0] != '[')
		return span(text, len, may_stand_in_host);
	inside = span(text + 1, len - 1, may_stand_in_address);
	if (inside == 0 || inside + 1 == len || text[inside + 1] != ']')
		return 0;
	return inside + 2;
}

/* Nothing, ":" (RFC 3986 3.2.3: the default) or ":1" to ":65535". */
static bool
is_port(const char *text, size_t len)
{
	unsigned port = 0;

	for (size_t i = 1; i < len; i++) {
		if (!isdigit((unsigned char)text[i]) || port > UINT16_MAX)
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return len <= 1 || (port > 0 && port <= UINT16_MAX);
}

static const char *
fault_in_authority(const char *text, size_t len)
{
	size_t host = host_length(text, len);

	if (memchr(text, '@', len) != NULL)
		return "it holds a user name";
	if (host == 0 || (host < len && text[host] != ':'))
		return "it names no proper host";
	if (!is_port(text + host, len - host))
		return "its port is no number from 1 to 65535";
	return NULL;
}

static bool
begins_with(const char *text, size_t len, const char *start)
{
	return len >= strlen(start) &&
	       strncasecmp(text, start, strlen(start)) == 0;
}

static const char *
fault_in_url(const char *url, size_t len)
{
	size_t start, end;

	if (len > STAPLE_URL_LENGTH_MAX)
		return "it is too long";
	if (span(url, len, may_stand_in_url) < len)
		return "it holds a byte that no URL may hold";
	if (begins_with(url, len, "http://"))
		start = strlen("http://");
	else if (begins_with(url, len, "https://"))
		start = strlen("https://");
	else
		return "it is neither http nor https";
	for (end = start; end < len; end++)
		if (strchr("/?#", url[end]) != NULL)
			break;
	return fault_in_authority(url + start, end - start);
}

bool
staple_url_check(const char *url, size_t len, const char **why)
{
	*why = fault_in_url(url, len);
	return *why == NULL;
}

/* A list of URLs that is being filled, and what was left out of it. */
struct listing {
	struct staple_cert *cert; /* whose hint takes the notes */
	char **urls;
	size_t count, max;
	bool of_issuers; /* caIssuers, else responders */
	size_t left_out;
};

static bool
is_listed(const struct listing *listing, const char *url, size_t len)
{
	for (size_t i = 0; i < listing->count; i++)
		if (strlen(listing->urls[i]) == len &&
		    memcmp(listing->urls[i], url, len) == 0)
			return true;
	return false;
}

/* Only the first is shown: hundreds would drown all other notes. */
static void
leave_out(struct listing *listing, const char *url, size_t len, const char *why)
{
	char shown[64];

	if (listing->left_out++ > 0)
		return;
	staple_text_escape(shown, sizeof(shown), url, len);
	staple_cert_note(listing->cert, "the %sURL %s was left out, as %s",
	    listing->of_issuers ? "issuer's " : "", shown, why);
}

static void
leave_out_name(struct listing *listing)
{
	if (listing->left_out++ == 0)
		staple_cert_note(listing->cert,
		    "%s that is not named by a URL was left out",
		    listing->of_issuers ? "an issuer" : "a responder");
}

/* NULL: it may be asked.  An issuer is never fetched by https: its server's
 * certificate might need that issuer in turn (RFC 5280 8). */
static const char *
find_fault(const struct listing *listing, const char *url, size_t len)
{
	const char *why = fault_in_url(url, len);

	if (why == NULL && listing->of_issuers &&
	    !begins_with(url, len, "http://"))
		why = "issuers are fetched by http alone";
	if (why == NULL && listing->count == listing->max &&
	    !is_listed(listing, url, len))
		why = "enough others come before it";
	return why;
}

/* false: no memory. */
static bool
list(struct listing *listing, const char *url, size_t len)
{
	const char *why = find_fault(listing, url, len);
	char *copy;

	if (why != NULL) {
		leave_out(listing, url, len, why);
		return true;
	}
	if (is_listed(listing, url, len))
		return true;
	copy = strndup(url, len);
	if (copy == NULL)
		return false;
	listing->urls[listing->count++] = copy;
	return true;
}

static bool
list_configured(struct listing *listing, const struct staple_source *source)
{
	bool ok = true;

	for (size_t i = 0; ok && i < source->url_count; i++)
		ok = list(listing, source->urls[i], strlen(source->urls[i]));
	return ok;
}

/* Some CAs write blanks around a URI: they are trimmed. */
static bool
list_uri(struct listing *listing, const ASN1_IA5STRING *uri)
{
	const char *text = (const char *)ASN1_STRING_get0_data(uri);
	size_t len = (size_t)ASN1_STRING_length(uri);

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	for (; len > 0 && isspace((unsigned char)*text); len--)
		text++;
	return list(listing, text, len);
}

/*
 * RFC 5280 4.2.2.1, RFC 6960 3.1: id-ad-ocsp with a URI, or id-ad-caIssuers
 * for the issuer's own certificate, in the order of the certificate, which
 * X509_get1_ocsp does not keep.  The bytes are an IA5String: a NUL in them is
 * part of the URL and is not accepted as its end.
 */
static bool
list_named(struct listing *listing, X509 *leaf)
{
	int method = listing->of_issuers ? NID_ad_ca_issuers : NID_ad_OCSP;
	AUTHORITY_INFO_ACCESS *access;
	bool ok = true;
	int found;

	access = X509_get_ext_d2i(leaf, NID_info_access, &found, NULL);
	if (access == NULL && found != -1)
		staple_cert_note(listing->cert,
		    "its authority information access cannot be read");
	for (int i = 0; ok && i < sk_ACCESS_DESCRIPTION_num(access); i++) {
		ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(
		    access, i);

		if (OBJ_obj2nid(one->method) != method)
			continue;
		if (one->location->type == GEN_URI)
			ok = list_uri(listing, one->location->d.ia5);
		else
			leave_out_name(listing);
	}
	AUTHORITY_INFO_ACCESS_free(access);
	return ok;
}

static void
note_rest(const struct listing *listing)
{
	if (listing->left_out > 1)
		staple_cert_note(listing->cert, "%zu more were left out",
		    listing->left_out - 1);
}

bool
staple_cert_find_urls(
    struct staple_cert *cert, X509 *leaf, const struct staple_source *source)
{
	struct listing listing = { .cert = cert, .max = STAPLE_URLS_MAX };
	bool ok;

	cert->url_count = 0;
	cert->urls = calloc(STAPLE_URLS_MAX, sizeof(*cert->urls));
	if (cert->urls == NULL)
		return false;
	listing.urls = cert->urls;
	cert->urls_configured = source != NULL && source->url_count > 0;
	if (cert->urls_configured)
		ok = list_configured(&listing, source);
	else
		ok = list_named(&listing, leaf);
	cert->url_count = listing.count;
	note_rest(&listing);
	return ok;
}

bool
staple_cert_find_issuer_urls(struct staple_cert *cert, X509 *leaf)
{
	struct listing listing = { .cert = cert,
		.urls = cert->issuer_urls,
		.max = STAPLE_ISSUER_URLS_MAX,
		.of_issuers = true };
	bool ok = list_named(&listing, leaf);

	cert->issuer_url_count = listing.count;
	note_rest(&listing);
	return ok;
}

bool
staple_cert_copy_urls(struct staple_cert *cert, const struct staple_cert *from)
{
	cert->url_count = 0;
	cert->urls = calloc(STAPLE_URLS_MAX, sizeof(*cert->urls));
	if (cert->urls == NULL)
		return false;
	cert->urls_configured = from->urls_configured;
	while (cert->url_count < from->url_count) {
		char *copy = strdup(from->urls[cert->url_count]);

		if (copy == NULL)
			return false;
		cert->urls[cert->url_count++] = copy;
	}
	return true;
}
