/*
 * A PROXY header from a peer that is trusted to send one, but not to send it
 * well.  Any thread; looks at the bytes from their start each time, as they
 * are few.  Two decisions.  Bytes that begin like no header are refused at
 * once, so that a TLS client that came without one need not wait for a
 * timeout.  And a checksum or an id that comes twice is refused: nobody could
 * say which one counts.
 */
#include "proxy/proxyproto.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/crc32c.h"
#include "proxy/proxyproto_inner.h"

enum { V1_MAX = 107 }; /* section 2.1, CR and LF included */
#define V1_START "PROXY "

static enum proxyproto_answer
refuse(struct proxyproto_header *header, const char *why)
{
	header->why = why;
	return PROXYPROTO_BAD;
}

/* Is this the start, as far as it came? */
static bool
starts_like(const uint8_t *bytes, size_t have, const char *start, size_t len)
{
	return memcmp(bytes, start, have < len ? have : len) == 0;
}

/* ---- Version 1 ---- */

/* "proxied protocol", two addresses, two ports: section 2.1. */
enum { PROTOCOL, CLIENT, SERVER, CLIENT_PORT, SERVER_PORT, FIELDS };

/* Exactly one blank between two; an empty field is left to its reader. */
static bool
split(char *line, char *fields[FIELDS])
{
	for (int i = 0; i < FIELDS; i++)
		if ((fields[i] = strsep(&line, " ")) == NULL)
			return false;
	return line == NULL;
}

/* 0 to 65535 without a zero in front; -1: anything else. */
static int
read_port(const char *text)
{
	size_t len = strspn(text, "0123456789");
	long port;

	if (len == 0 || text[len] != '\0' || (text[0] == '0' && len > 1))
		return -1;
	port = strtol(text, NULL, 10);
	return port <= UINT16_MAX ? (int)port : -1;
}

/*
 * inet_pton is as strict as section 2.1 (no zeros in front, no short forms),
 * but for dots at the end of an IPv6 address: haproxy writes a mapped one so.
 */
static bool
read_address(struct addr *addr, int family, const char *host, const char *port)
{
	int number = read_port(port);
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} raw = { .in6.sin6_family = (sa_family_t)family };
	void *place = family == AF_INET ? (void *)&raw.in.sin_addr
					: (void *)&raw.in6.sin6_addr;

	if (number < 0 || inet_pton(family, host, place) != 1)
		return false;
	addr_from_sockaddr(addr, &raw.sa, sizeof(raw));
	addr_set_port(addr, (uint16_t)number);
	return true;
}

/* What is between "PROXY " and CR LF. */
static bool
read_line(struct proxyproto_header *header, const uint8_t *bytes, size_t len)
{
	static const char unknown[] = "UNKNOWN";
	const size_t unknown_len = sizeof(unknown) - 1;
	char line[V1_MAX], *fields[FIELDS];
	int family;

	/* Section 2.1: whatever follows UNKNOWN is ignored. */
	if (len >= unknown_len && memcmp(bytes, unknown, unknown_len) == 0) {
		header->local = true;
		return len == unknown_len || bytes[unknown_len] == ' ';
	}
	memcpy(line, bytes, len);
	line[len] = '\0';
	if (strlen(line) != len || !split(line, fields))
		return false;
	if (strcmp(fields[PROTOCOL], "TCP4") == 0)
		family = AF_INET;
	else if (strcmp(fields[PROTOCOL], "TCP6") == 0)
		family = AF_INET6;
	else
		return false;
	return read_address(&header->client, family, fields[CLIENT],
		   fields[CLIENT_PORT]) &&
	       read_address(&header->server, family, fields[SERVER],
		   fields[SERVER_PORT]);
}

/* The first six bytes are right, as far as they came. */
static enum proxyproto_answer
parse_v1(const uint8_t *bytes, size_t have, struct proxyproto_header *header,
    size_t *len)
{
	const size_t start = sizeof(V1_START) - 1;
	const uint8_t *end = memchr(bytes, '\n', have < V1_MAX ? have : V1_MAX);

	if (end == NULL && have >= V1_MAX)
		return refuse(
		    header, "the PROXY line does not end within 107 bytes");
	if (end == NULL) {
		*len = have + 1;
		return PROXYPROTO_MORE;
	}
	if (end[-1] != '\r')
		return refuse(header, "the PROXY line does not end in CR LF");
	*len = (size_t)(end - bytes) + 1;
	if (!read_line(header, bytes + start, *len - start - 2))
		return refuse(header, "the PROXY line is malformed");
	return PROXYPROTO_DONE;
}

/* ---- Version 2 ---- */

static size_t
read_short(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

struct tlv {
	const uint8_t *value;
	size_t len;
	unsigned count; /* how often it came; the value is the last one's */
};

/* Do TLVs fill the rest exactly?  Those of this type are told. */
static bool
find_tlv(const uint8_t *at, const uint8_t *end, unsigned type, struct tlv *tlv)
{
	*tlv = (struct tlv){ 0 };
	while (end - at >= PP2_TLV_FRONT_SIZE) {
		const uint8_t *value = at + PP2_TLV_FRONT_SIZE;
		size_t len = read_short(at + 1);

		if (len > (size_t)(end - value))
			return false;
		if (at[0] == type)
			*tlv = (struct tlv){ value, len, tlv->count + 1 };
		at = value + len;
	}
	return at == end;
}

/* Section 2.2.3: over the whole header, with zeros in place of the sum. */
static bool
sum_is_right(const uint8_t *bytes, size_t len, const struct tlv *sum)
{
	uint8_t copy[PROXYPROTO_IN_MAX];
	uint32_t right;

	if (sum->count != 1 || sum->len != sizeof(right))
		return false;
	memcpy(copy, bytes, len);
	memset(copy + (sum->value - bytes), 0, sizeof(right));
	right = htonl(crc32c(copy, len));
	return memcmp(sum->value, &right, sizeof(right)) == 0;
}

static const char *
take_tlvs(struct proxyproto_header *header, const uint8_t *bytes, size_t start,
    size_t len)
{
	const uint8_t *at = bytes + start, *end = bytes + len;
	struct tlv sum, unique;

	/* Section 2.2: LOCAL is taken whatever comes along. */
	if (!find_tlv(at, end, PP2_TYPE_CRC32C, &sum) ||
	    !find_tlv(at, end, PP2_TYPE_UNIQUE_ID, &unique))
		return bytes[PP2_SIGNATURE_SIZE] == PP2_LOCAL
			   ? NULL
			   : "the PROXY header's TLVs do not fill it exactly";
	if (sum.count > 0 && !sum_is_right(bytes, len, &sum))
		return "the PROXY header's checksum is wrong";
	if (unique.count > 1 || unique.len > PROXYPROTO_UNIQUE_MAX)
		return "the PROXY header's unique id is too long or comes "
		       "twice";
	if (unique.len > 0)
		memcpy(header->unique, unique.value, unique.len);
	header->unique_len = unique.len;
	return NULL;
}

/* Where the TLVs begin; 0: a datagram, or no family that is assigned. */
static size_t
addresses_end(unsigned family)
{
	switch (family) {
	case PP2_UNSPEC:
		return PP2_FRONT_SIZE;
	case PP2_TCP4:
		return PP2_FRONT_SIZE + PP2_INET_SIZE;
	case PP2_TCP6:
		return PP2_FRONT_SIZE + PP2_INET6_SIZE;
	case PP2_UNIX:
		return PP2_FRONT_SIZE + PP2_UNIX_SIZE;
	default:
		return 0;
	}
}

static void
read_inet(struct addr *addr, const uint8_t *host, const uint8_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	memcpy(&in.sin_addr, host, 4);
	memcpy(&in.sin_port, port, 2);
	addr_from_sockaddr(addr, (struct sockaddr *)&in, sizeof(in));
}

static void
read_inet6(struct addr *addr, const uint8_t *host, const uint8_t *port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memcpy(&in6.sin6_addr, host, 16);
	memcpy(&in6.sin6_port, port, 2);
	addr_from_sockaddr(addr, (struct sockaddr *)&in6, sizeof(in6));
}

/* A Unix client, or one that the sender does not know, has none to take. */
static void
take_addresses(
    struct proxyproto_header *header, unsigned family, const uint8_t *block)
{
	switch (family) {
	case PP2_TCP4:
		read_inet(&header->client, block, block + 8);
		read_inet(&header->server, block + 4, block + 10);
		break;
	case PP2_TCP6:
		read_inet6(&header->client, block, block + 32);
		read_inet6(&header->server, block + 16, block + 34);
		break;
	default:
		header->local = true;
	}
}

/* NULL: well. */
static const char *
read_v2(struct proxyproto_header *header, const uint8_t *bytes, size_t len)
{
	unsigned family = bytes[PP2_SIGNATURE_SIZE + 1];
	size_t start = addresses_end(family);

	header->local = bytes[PP2_SIGNATURE_SIZE] == PP2_LOCAL;
	/* Section 2.2: the family of LOCAL is ignored.  If it can be read all
	 * the same, its sum and its id count: haproxy says LOCAL of a client
	 * without an address, and a spoiled PROXY looks like LOCAL. */
	if (header->local && (start == 0 || start > len))
		return NULL;
	if (start == 0)
		return "the PROXY header is of a family that is no stream";
	if (start > len)
		return "the PROXY header is too short for its addresses";
	if (!header->local)
		take_addresses(header, family, bytes + PP2_FRONT_SIZE);
	return take_tlvs(header, bytes, start, len);
}

static enum proxyproto_answer
parse_v2(const uint8_t *bytes, size_t have, struct proxyproto_header *header,
    size_t *len)
{
	unsigned command;
	const char *why;

	if (have < PP2_FRONT_SIZE) {
		*len = have + 1;
		return PROXYPROTO_MORE;
	}
	command = bytes[PP2_SIGNATURE_SIZE];
	if (command != PP2_LOCAL && command != PP2_PROXY)
		return refuse(header,
		    "the PROXY header is of an unknown version or command");
	*len = PP2_FRONT_SIZE + read_short(bytes + PP2_FRONT_SIZE - 2);
	if (*len > PROXYPROTO_IN_MAX)
		return refuse(
		    header, "the PROXY header is longer than 4096 bytes");
	if (have < *len)
		return PROXYPROTO_MORE;
	why = read_v2(header, bytes, *len);
	return why == NULL ? PROXYPROTO_DONE : refuse(header, why);
}

enum proxyproto_answer
proxyproto_parse(const uint8_t *bytes, size_t have,
    struct proxyproto_header *header, size_t *len)
{
	*header = (struct proxyproto_header){ 0 };
	*len = 0;
	if (have == 0) {
		*len = 1;
		return PROXYPROTO_MORE;
	}
	if (starts_like(bytes, have, V1_START, sizeof(V1_START) - 1))
		return parse_v1(bytes, have, header, len);
	if (starts_like(bytes, have, PP2_SIGNATURE, PP2_SIGNATURE_SIZE))
		return parse_v2(bytes, have, header, len);
	return refuse(header, "the peer sent no PROXY header");
}
