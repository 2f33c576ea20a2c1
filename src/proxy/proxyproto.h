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

/* ---- What clinch sends ---- */

/* The longest header made here; with a certificate that does not fit, the
 * header goes without it. */
#define PROXYPROTO_OUT_MAX (16u * 1024u)
#define PROXYPROTO_UNIQUE_MAX 128 /* section 2.2.5 */

/* What is told of a client.  Texts may be NULL: that part is left out. */
struct proxyproto_facts {
	const struct addr *client; /* a Unix client has no address to tell */
	const struct addr *local;  /* where it connected to */
	unsigned tlvs;             /* enum config_proxy_tlv: what is wanted */
	const char *authority;     /* the server name it asked for */
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

/* The header into out (of at least PROXYPROTO_OUT_MAX); its length. */
size_t proxyproto_format(enum config_proxy_out version,
    const struct proxyproto_facts *facts, uint8_t *out);

/* ---- What clinch accepts ---- */

/* The longest header taken: a longer one is an attack or a mistake. */
#define PROXYPROTO_IN_MAX (4u * 1024u)

enum proxyproto_answer {
	PROXYPROTO_DONE, /* *len bytes are the header */
	PROXYPROTO_MORE, /* call again with at least *len bytes */
	PROXYPROTO_BAD   /* header->why */
};

struct proxyproto_header {
	bool local; /* LOCAL or UNKNOWN: the connection's own addresses count */
	struct addr client;
	struct addr server; /* where the client connected to */
	uint8_t unique[PROXYPROTO_UNIQUE_MAX];
	size_t unique_len; /* 0: none came along */
	const char *why;   /* a constant sentence */
};

/*
 * Take a header from the `have` bytes at hand.  Every length in it is bounded
 * by what was announced, and that by PROXYPROTO_IN_MAX; TLVs must fill the
 * rest exactly; a CRC32C that is there must be right.  Never asks for more
 * bytes than the header surely has, so a client that sends its ClientHello
 * late is not waited for.
 */
enum proxyproto_answer proxyproto_parse(const uint8_t *bytes, size_t have,
    struct proxyproto_header *header, size_t *len) MUST_CHECK;

#endif
