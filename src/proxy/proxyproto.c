/*
 * The PROXY protocol, written and read.  Any thread; bytes in buffers of the
 * caller's.
 *
 * Writing follows haproxy in two decisions.  Addresses of two families are
 * sent as IPv6, the IPv4 one mapped, so that the client's address is not lost.
 * Without an address (a Unix client) version 1 sends UNKNOWN and version 2
 * LOCAL, which every receiver must accept; it may refuse PROXY without a
 * family (section 2.2), and haproxy does.
 *
 * Reading: the sender is trusted to send a header, but not to format it well.
 * The few bytes are parsed from their start each time.  Bytes that begin like
 * no header are refused at once, so that a TLS client without one need not
 * wait for a timeout.  A checksum or an id that comes twice is refused, as
 * receivers differ in which one they use.
 */
#include "proxy/proxyproto.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V1_MAX = 107 }; /* section 2.1: the longest line, with CR and LF */
#define V1_START "PROXY "

/* Section 2.2; 12 bytes with a zero among them. */
#define PP2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum {
	PP2_SIGNATURE_SIZE = sizeof(PP2_SIGNATURE) - 1,

	/* signature, version and command, family, length of all that follows */
	PP2_FRONT_SIZE = PP2_SIGNATURE_SIZE + 4,
	PP2_TLV_FRONT_SIZE = 3, /* type, length */

	/* two addresses and, except for Unix, two ports */
	PP2_INET_SIZE = 12,
	PP2_INET6_SIZE = 36,
	PP2_UNIX_SIZE = 216
};

enum { PP2_LOCAL = 0x20, PP2_PROXY = 0x21 };

/* Family and transport in one byte. */
enum { PP2_UNSPEC = 0x00, PP2_TCP4 = 0x11, PP2_TCP6 = 0x21, PP2_UNIX = 0x31 };

enum {
	PP2_TYPE_ALPN = 0x01,
	PP2_TYPE_AUTHORITY = 0x02,
	PP2_TYPE_CRC32C = 0x03,
	PP2_TYPE_UNIQUE_ID = 0x05,
	PP2_TYPE_SSL = 0x20,

	/* inside PP2_TYPE_SSL */
	PP2_SUBTYPE_SSL_VERSION = 0x21,
	PP2_SUBTYPE_SSL_CN = 0x22,
	PP2_SUBTYPE_SSL_CIPHER = 0x23,
	PP2_SUBTYPE_SSL_SIG_ALG = 0x24,
	PP2_SUBTYPE_SSL_KEY_ALG = 0x25,
	PP2_SUBTYPE_SSL_CLIENT_CERT = 0x28 /* since 2026: the leaf as DER */
};

/* Section 2.2.6: the client's TLS and certificate. */
enum { PP2_CLIENT_SSL = 1, PP2_CLIENT_CERT_CONN = 2, PP2_CLIENT_CERT_SESS = 4 };

#define CRC32C_POLYNOMIAL 0x82f63b78u /* Castagnoli's, lowest bit first */

/* Bit by bit, without a table: a header is summed once for each connection, and
 * a handshake costs a thousand times as much. */
uint32_t
proxyproto_crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t sum = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		sum ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? CRC32C_POLYNOMIAL : 0);
	}
	return ~sum;
}

/* ---- writing ---- */

struct proxyproto_writer {
	uint8_t *out; /* PROXYPROTO_OUT_MAX bytes */
	size_t len;
};

/* The family that fits both addresses; AF_UNSPEC: none does. */
static int
common_family(const struct proxyproto_facts *facts)
{
	const struct addr *both[] = { facts->client, facts->local };
	int family = AF_INET;

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		if (both[i] == NULL || both[i]->len == 0 ||
		    addr_is_unix(both[i]))
			return AF_UNSPEC;
		if (both[i]->sa.sa_family == AF_INET6)
			family = AF_INET6;
	}
	return family;
}

/* RFC 4291 section 2.5.5.2: an IPv4 address inside IPv6. */
static struct in6_addr
widen(const struct addr *addr)
{
	struct in6_addr wide = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (addr->sa.sa_family == AF_INET6)
		return addr->in6.sin6_addr;
	memcpy(wide.s6_addr + 12, &addr->in.sin_addr, 4);
	return wide;
}

/*
 * Section 2.1 allows no dots in an IPv6 address, but inet_ntop writes them for
 * a mapped one: that is written as eight groups.
 */
static void
print_in6(const struct addr *addr, char out[INET6_ADDRSTRLEN])
{
	struct in6_addr wide = widen(addr);
	const uint8_t *b = wide.s6_addr;

	inet_ntop(AF_INET6, b, out, INET6_ADDRSTRLEN);
	if (strchr(out, '.') == NULL)
		return;
	for (int i = 0; i < 16; i += 2)
		out += sprintf(out, "%s%x", i > 0 ? ":" : "",
		    (unsigned)b[i] << 8 | b[i + 1]);
}

static size_t
format_v1(const struct proxyproto_facts *facts, char *out)
{
	const char *name = "TCP4";
	char client[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];

	switch (common_family(facts)) {
	case AF_INET:
		addr_print_host(facts->client, client, sizeof(client));
		addr_print_host(facts->local, local, sizeof(local));
		break;
	case AF_INET6:
		name = "TCP6";
		print_in6(facts->client, client);
		print_in6(facts->local, local);
		break;
	default:
		return (size_t)snprintf(out, V1_MAX + 1, "PROXY UNKNOWN\r\n");
	}
	return (size_t)snprintf(out, V1_MAX + 1, "PROXY %s %s %s %u %u\r\n",
	    name, client, local, addr_port(facts->client),
	    addr_port(facts->local));
}

static void
put(struct proxyproto_writer *to, const void *bytes, size_t len)
{
	memcpy(to->out + to->len, bytes, len);
	to->len += len;
}

static void
put_byte(struct proxyproto_writer *to, unsigned value)
{
	to->out[to->len++] = (uint8_t)value;
}

static void
put_short(struct proxyproto_writer *to, size_t value)
{
	put_byte(to, (unsigned)(value >> 8 & 0xff));
	put_byte(to, (unsigned)(value & 0xff));
}

static void
put_long(struct proxyproto_writer *to, uint32_t value)
{
	put_short(to, value >> 16);
	put_short(to, value & 0xffff);
}

/* A value that is absent or does not fit is left out. */
static void
put_tlv(
    struct proxyproto_writer *to, unsigned type, const void *value, size_t len)
{
	size_t room = PROXYPROTO_OUT_MAX - to->len;

	if (value == NULL || len == 0 || room < PP2_TLV_FRONT_SIZE ||
	    len > room - PP2_TLV_FRONT_SIZE)
		return;
	put_byte(to, type);
	put_short(to, len);
	put(to, value, len);
}

static void
put_text(struct proxyproto_writer *to, unsigned type, const char *text)
{
	if (text != NULL)
		put_tlv(to, type, text, strlen(text));
}

/* Command, family, room for the length, addresses. */
static void
put_addresses(
    struct proxyproto_writer *to, const struct proxyproto_facts *facts)
{
	int family = common_family(facts);
	struct in6_addr client, local;

	if (family == AF_UNSPEC) {
		put(to, (uint8_t[]){ PP2_LOCAL, PP2_UNSPEC, 0, 0 }, 4);
		return;
	}
	if (family == AF_INET) {
		put(to, (uint8_t[]){ PP2_PROXY, PP2_TCP4, 0, 0 }, 4);
		put(to, &facts->client->in.sin_addr, 4);
		put(to, &facts->local->in.sin_addr, 4);
	} else {
		client = widen(facts->client);
		local = widen(facts->local);
		put(to, (uint8_t[]){ PP2_PROXY, PP2_TCP6, 0, 0 }, 4);
		put(to, client.s6_addr, 16);
		put(to, local.s6_addr, 16);
	}
	put_short(to, addr_port(facts->client));
	put_short(to, addr_port(facts->local));
}

static unsigned
client_bits(const struct proxyproto_facts *facts)
{
	return PP2_CLIENT_SSL |
	       (facts->client_presented ? PP2_CLIENT_CERT_CONN : 0) |
	       (facts->client_in_session ? PP2_CLIENT_CERT_SESS : 0);
}

/*
 * Section 2.2.6.  The certificate comes last: it alone is large enough not to
 * fit.
 */
static void
put_ssl(struct proxyproto_writer *to, const struct proxyproto_facts *facts)
{
	size_t start = to->len;
	struct proxyproto_writer front = { to->out, start + 1 };

	if (PROXYPROTO_OUT_MAX - start < PP2_TLV_FRONT_SIZE + 5)
		return;
	put_byte(to, PP2_TYPE_SSL);
	put_short(to, 0);
	put_byte(to, client_bits(facts));
	put_long(to, facts->client_verified ? 0 : 1);
	put_text(to, PP2_SUBTYPE_SSL_VERSION, facts->version);
	put_text(to, PP2_SUBTYPE_SSL_CIPHER, facts->cipher);
	put_text(to, PP2_SUBTYPE_SSL_SIG_ALG, facts->signature_algorithm);
	put_text(to, PP2_SUBTYPE_SSL_KEY_ALG, facts->key_algorithm);
	if (facts->tlvs & PROXY_TLV_CN)
		put_text(to, PP2_SUBTYPE_SSL_CN, facts->common_name);
	if (facts->tlvs & PROXY_TLV_CERT)
		put_tlv(to, PP2_SUBTYPE_SSL_CLIENT_CERT, facts->certificate,
		    facts->certificate_len);
	put_short(&front, to->len - start - PP2_TLV_FRONT_SIZE);
}

/* Returns the offset of the checksum; 0: none. */
static size_t
put_tlvs(struct proxyproto_writer *to, const struct proxyproto_facts *facts)
{
	/* The name and the certificate are inside PP2_TYPE_SSL. */
	const unsigned ssl = PROXY_TLV_SSL | PROXY_TLV_CN | PROXY_TLV_CERT;
	size_t sum = 0;

	if (facts->tlvs & PROXY_TLV_CRC32C) {
		sum = to->len + PP2_TLV_FRONT_SIZE;
		put_tlv(to, PP2_TYPE_CRC32C, "\0\0\0", 4);
	}
	if (facts->tlvs & PROXY_TLV_UNIQUE_ID &&
	    facts->unique_len <= PROXYPROTO_UNIQUE_MAX)
		put_tlv(
		    to, PP2_TYPE_UNIQUE_ID, facts->unique, facts->unique_len);
	if (facts->tlvs & PROXY_TLV_ALPN)
		put_tlv(to, PP2_TYPE_ALPN, facts->alpn, facts->alpn_len);
	if (facts->tlvs & PROXY_TLV_AUTHORITY)
		put_text(to, PP2_TYPE_AUTHORITY, facts->authority);
	if (facts->tlvs & ssl && facts->tls)
		put_ssl(to, facts);
	return sum;
}

static size_t
format_v2(const struct proxyproto_facts *facts, uint8_t *out)
{
	struct proxyproto_writer to = { .out = out };
	struct proxyproto_writer length = { out, PP2_FRONT_SIZE - 2 };
	struct proxyproto_writer sum = { .out = out };

	put(&to, PP2_SIGNATURE, PP2_SIGNATURE_SIZE);
	put_addresses(&to, facts);
	sum.len = put_tlvs(&to, facts);
	put_short(&length, to.len - PP2_FRONT_SIZE);
	/* Section 2.2.3: over the whole header, with zeros in place of the sum;
	 * in network order, as haproxy writes it. */
	if (sum.len > 0)
		put_long(&sum, proxyproto_crc32c(out, to.len));
	return to.len;
}

size_t
proxyproto_format(enum config_proxy_out version,
    const struct proxyproto_facts *facts, uint8_t *out)
{
	switch (version) {
	case PROXY_OUT_V1:
		return format_v1(facts, (char *)out);
	case PROXY_OUT_V2:
		return format_v2(facts, out);
	case PROXY_OUT_OFF:
		break;
	}
	return 0;
}

/* ---- reading ---- */

static enum proxyproto_answer
refuse(struct proxyproto_header *header, const char *why)
{
	header->why = why;
	return PROXYPROTO_BAD;
}

/* Do the bytes agree with the start, as far as they were received? */
static bool
starts_like(const uint8_t *bytes, size_t have, const char *start, size_t len)
{
	return memcmp(bytes, start, have < len ? have : len) == 0;
}

/* Version 1 */

/* "proxied protocol", two addresses, two ports: section 2.1. */
enum { PROTOCOL, CLIENT, SERVER, CLIENT_PORT, SERVER_PORT, FIELDS };

/* Exactly one blank between two fields; a field may be empty. */
static bool
split(char *line, char *fields[FIELDS])
{
	for (int i = 0; i < FIELDS; i++)
		if ((fields[i] = strsep(&line, " ")) == NULL)
			return false;
	return line == NULL;
}

/* 0 to 65535 without a leading zero; -1: anything else. */
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
 * inet_pton is as strict as section 2.1 (no leading zeros, no short forms),
 * except for dots at the end of an IPv6 address: haproxy writes a mapped one
 * in this way.
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

/* The bytes between "PROXY " and CR LF. */
static bool
read_line(struct proxyproto_header *header, const uint8_t *bytes, size_t len)
{
	static const char unknown[] = "UNKNOWN";
	const size_t unknown_len = sizeof(unknown) - 1;
	char line[V1_MAX], *fields[FIELDS];
	int family;

	/* Section 2.1: the rest of the line after UNKNOWN is ignored. */
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

/* The bytes agree with V1_START, as far as they were received. */
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

/* Version 2 */

static size_t
read_short(const uint8_t *bytes)
{
	return (size_t)bytes[0] << 8 | bytes[1];
}

struct tlv {
	const uint8_t *value;
	size_t len;
	unsigned count; /* occurrences; the value is that of the last */
};

/* Do TLVs fill the rest exactly?  Finds those of one type. */
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
	right = htonl(proxyproto_crc32c(copy, len));
	return memcmp(sum->value, &right, sizeof(right)) == 0;
}

static const char *
read_tlvs(struct proxyproto_header *header, const uint8_t *bytes, size_t start,
    size_t len)
{
	const uint8_t *at = bytes + start, *end = bytes + len;
	struct tlv sum, unique;

	/* Section 2.2: LOCAL is accepted with any contents. */
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

/* The offset of the TLVs; 0: a datagram, or a family not assigned. */
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

/* A Unix client has no address here, nor one unknown to the sender. */
static void
read_addresses(
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

/* Returns why the header is refused; NULL: it is accepted. */
static const char *
read_v2(struct proxyproto_header *header, const uint8_t *bytes, size_t len)
{
	unsigned family = bytes[PP2_SIGNATURE_SIZE + 1];
	size_t start = addresses_end(family);

	header->local = bytes[PP2_SIGNATURE_SIZE] == PP2_LOCAL;
	/* Section 2.2: the family of LOCAL is ignored.  If the header can be
	 * parsed, its sum and id count: haproxy sends LOCAL for a client
	 * without an address, and one flipped bit turns PROXY into LOCAL. */
	if (header->local && (start == 0 || start > len))
		return NULL;
	if (start == 0)
		return "the PROXY header is of a family that is no stream";
	if (start > len)
		return "the PROXY header is too short for its addresses";
	if (!header->local)
		read_addresses(header, family, bytes + PP2_FRONT_SIZE);
	return read_tlvs(header, bytes, start, len);
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
