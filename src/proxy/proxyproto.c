/*
 * What a backend is told of its client.  Any thread; bytes into a buffer of
 * the caller's.  Two decisions, both as haproxy has them.  Addresses of two
 * families are told as IPv6, the IPv4 one mapped: the client is then still
 * known.  And where there is no address (a Unix client), version 1 says
 * UNKNOWN and version 2 says LOCAL, which every receiver must take; PROXY
 * without a family it may refuse (section 2.2), and haproxy does.
 */
#include "proxy/proxyproto.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "proxy/crc32c.h"
#include "proxy/proxyproto_inner.h"

/* Section 2.1: the longest line, and a zero for snprintf. */
enum { V1_MAX = 108 };

struct writer {
	uint8_t *out; /* PROXYPROTO_OUT_MAX bytes */
	size_t len;
};

/* AF_INET and AF_INET6: both addresses can be told so; else AF_UNSPEC. */
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
 * Section 2.1 knows no dots in an IPv6 address, which inet_ntop writes for a
 * mapped one: such a one goes out as eight groups.
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
		return (size_t)snprintf(out, V1_MAX, "PROXY UNKNOWN\r\n");
	}
	return (size_t)snprintf(out, V1_MAX, "PROXY %s %s %s %u %u\r\n", name,
	    client, local, addr_port(facts->client), addr_port(facts->local));
}

static void
put(struct writer *writer, const void *bytes, size_t len)
{
	memcpy(writer->out + writer->len, bytes, len);
	writer->len += len;
}

static void
put_byte(struct writer *writer, unsigned value)
{
	writer->out[writer->len++] = (uint8_t)value;
}

static void
put_short(struct writer *writer, size_t value)
{
	put_byte(writer, (unsigned)(value >> 8 & 0xff));
	put_byte(writer, (unsigned)(value & 0xff));
}

static void
put_long(struct writer *writer, uint32_t value)
{
	put_short(writer, value >> 16);
	put_short(writer, value & 0xffff);
}

/* What is not there or does not fit is left out. */
static void
put_tlv(struct writer *writer, unsigned type, const void *value, size_t len)
{
	size_t room = PROXYPROTO_OUT_MAX - writer->len;

	if (value == NULL || len == 0 || room < PP2_TLV_FRONT_SIZE ||
	    len > room - PP2_TLV_FRONT_SIZE)
		return;
	put_byte(writer, type);
	put_short(writer, len);
	put(writer, value, len);
}

static void
put_text(struct writer *writer, unsigned type, const char *text)
{
	if (text != NULL)
		put_tlv(writer, type, text, strlen(text));
}

/* Command, family, room for the length, addresses. */
static void
put_addresses(struct writer *writer, const struct proxyproto_facts *facts)
{
	int family = common_family(facts);
	struct in6_addr client, local;

	if (family == AF_UNSPEC) {
		put(writer, (uint8_t[]){ PP2_LOCAL, PP2_UNSPEC, 0, 0 }, 4);
		return;
	}
	if (family == AF_INET) {
		put(writer, (uint8_t[]){ PP2_PROXY, PP2_TCP4, 0, 0 }, 4);
		put(writer, &facts->client->in.sin_addr, 4);
		put(writer, &facts->local->in.sin_addr, 4);
	} else {
		client = widen(facts->client);
		local = widen(facts->local);
		put(writer, (uint8_t[]){ PP2_PROXY, PP2_TCP6, 0, 0 }, 4);
		put(writer, client.s6_addr, 16);
		put(writer, local.s6_addr, 16);
	}
	put_short(writer, addr_port(facts->client));
	put_short(writer, addr_port(facts->local));
}

static unsigned
client_bits(const struct proxyproto_facts *facts)
{
	return PP2_CLIENT_SSL |
	       (facts->client_presented ? PP2_CLIENT_CERT_CONN : 0) |
	       (facts->client_in_session ? PP2_CLIENT_CERT_SESS : 0);
}

/*
 * Section 2.2.6.  The certificate is the last of the last: whatever else there
 * is goes before it, and it alone is large enough not to fit.
 */
static void
put_ssl(struct writer *writer, const struct proxyproto_facts *facts)
{
	size_t start = writer->len;
	struct writer front = { writer->out, start + 1 };

	if (PROXYPROTO_OUT_MAX - start < PP2_TLV_FRONT_SIZE + 5)
		return;
	put_byte(writer, PP2_TYPE_SSL);
	put_short(writer, 0);
	put_byte(writer, client_bits(facts));
	put_long(writer, facts->client_verified ? 0 : 1);
	put_text(writer, PP2_SUBTYPE_SSL_VERSION, facts->version);
	put_text(writer, PP2_SUBTYPE_SSL_CIPHER, facts->cipher);
	put_text(writer, PP2_SUBTYPE_SSL_SIG_ALG, facts->signature_algorithm);
	put_text(writer, PP2_SUBTYPE_SSL_KEY_ALG, facts->key_algorithm);
	if (facts->tlvs & PROXY_TLV_CN)
		put_text(writer, PP2_SUBTYPE_SSL_CN, facts->common_name);
	if (facts->tlvs & PROXY_TLV_CERT)
		put_tlv(writer, PP2_SUBTYPE_SSL_CLIENT_CERT, facts->certificate,
		    facts->certificate_len);
	put_short(&front, writer->len - start - PP2_TLV_FRONT_SIZE);
}

/* Where the checksum will be; 0: none is wanted. */
static size_t
put_tlvs(struct writer *writer, const struct proxyproto_facts *facts)
{
	/* A name or a certificate is told within what is told of TLS. */
	const unsigned ssl = PROXY_TLV_SSL | PROXY_TLV_CN | PROXY_TLV_CERT;
	size_t sum = 0;

	if (facts->tlvs & PROXY_TLV_CRC32C) {
		sum = writer->len + PP2_TLV_FRONT_SIZE;
		put_tlv(writer, PP2_TYPE_CRC32C, "\0\0\0", 4);
	}
	if (facts->tlvs & PROXY_TLV_UNIQUE_ID &&
	    facts->unique_len <= PROXYPROTO_UNIQUE_MAX)
		put_tlv(writer, PP2_TYPE_UNIQUE_ID, facts->unique,
		    facts->unique_len);
	if (facts->tlvs & PROXY_TLV_ALPN)
		put_tlv(writer, PP2_TYPE_ALPN, facts->alpn, facts->alpn_len);
	if (facts->tlvs & PROXY_TLV_AUTHORITY)
		put_text(writer, PP2_TYPE_AUTHORITY, facts->authority);
	if (facts->tlvs & ssl && facts->tls)
		put_ssl(writer, facts);
	return sum;
}

static size_t
format_v2(const struct proxyproto_facts *facts, uint8_t *out)
{
	struct writer writer = { .out = out };
	struct writer length = { out, PP2_FRONT_SIZE - 2 };
	struct writer sum = { .out = out };

	put(&writer, PP2_SIGNATURE, PP2_SIGNATURE_SIZE);
	put_addresses(&writer, facts);
	sum.len = put_tlvs(&writer, facts);
	put_short(&length, writer.len - PP2_FRONT_SIZE);
	/* Section 2.2.3: over all of it, with zeros in its own place; in
	 * network order, as haproxy and everyone after it has it. */
	if (sum.len > 0)
		put_long(&sum, crc32c(out, writer.len));
	return writer.len;
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
