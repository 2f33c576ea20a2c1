/*
 * The PROXY protocol, versions 1 and 2, as bytes alone: no socket, no TLS, no
 * allocation.  "The PROXY protocol" below is haproxy's proxy-protocol.txt.
 * Any thread.
 */
#ifndef PROXY_PROXYPROTO_H
#define PROXY_PROXYPROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "config/config.h"

/* ---- writing ---- */

/* The longest header written; a certificate that does not fit is left out. */
#define PROXYPROTO_OUT_MAX (16u * 1024u)
#define PROXYPROTO_UNIQUE_MAX 128 /* section 2.2.5 */

/* The contents of a header.  A text that is NULL is left out. */
struct proxyproto_facts {
	const struct addr *client; /* a Unix client: none is sent */
	const struct addr *local;  /* that the client connected to */
	unsigned tlvs;             /* mask of enum config_proxy_tlv */
	const char *authority;     /* the server name of the ClientHello */
	const char *alpn;          /* alpn_len bytes */
	size_t alpn_len;
	const uint8_t *unique; /* unique_len bytes */
	size_t unique_len;

	/* PP2_TYPE_SSL; tls false: none */
	bool tls;
	bool client_presented;
	bool client_in_session;
	bool client_verified;
	const char *version;
	const char *cipher;
	const char *key_algorithm;
	const char *signature_algorithm;
	const char *common_name;
	const uint8_t *certificate; /* DER of the client's */
	size_t certificate_len;
};

/* Write the header into out, which has PROXYPROTO_OUT_MAX bytes; returns its
 * length. */
size_t proxyproto_format(enum config_proxy_out version,
    const struct proxyproto_facts *facts, uint8_t *out);

/* CRC-32C (RFC 9260 appendix A), the checksum of a header (section 2.2.3). */
uint32_t proxyproto_crc32c(const uint8_t *bytes, size_t len);

/* ---- reading ---- */

/* The longest header accepted. */
#define PROXYPROTO_IN_MAX (4u * 1024u)

enum proxyproto_answer {
	PROXYPROTO_DONE, /* *len bytes are the header */
	PROXYPROTO_MORE, /* call again with at least *len bytes */
	PROXYPROTO_BAD   /* header->why */
};

struct proxyproto_header {
	bool local; /* LOCAL or UNKNOWN: the connection's own addresses count */
	struct addr client;
	struct addr server; /* that the client connected to */
	uint8_t unique[PROXYPROTO_UNIQUE_MAX];
	size_t unique_len; /* 0: none */
	const char *why;   /* it is refused; a constant */
};

/*
 * Parse a header from `have` bytes.  Every length in it is bounded by the
 * length of the header, and that by PROXYPROTO_IN_MAX; TLVs must fill the rest
 * exactly; a CRC32C must be correct.  *len with PROXYPROTO_MORE is never more
 * than the length of the header, so that bytes behind it are not waited for.
 */
enum proxyproto_answer proxyproto_parse(const uint8_t *bytes, size_t have,
    struct proxyproto_header *header, size_t *len) MUST_CHECK;

#endif
