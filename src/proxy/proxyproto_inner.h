/*
 * The numbers of the PROXY protocol, version 2: what its writer and its reader
 * have in common.
 */
#ifndef PROXY_PROXYPROTO_INNER_H
#define PROXY_PROXYPROTO_INNER_H

/* Section 2.2; no zero at the end, one in the middle. */
#define PP2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum {
	PP2_SIGNATURE_SIZE = sizeof(PP2_SIGNATURE) - 1,

	/* signature, version and command, family, length of all that follows */
	PP2_FRONT_SIZE = PP2_SIGNATURE_SIZE + 4,
	PP2_TLV_FRONT_SIZE = 3, /* type, length */

	/* two addresses and, but for Unix, two ports */
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

/* Section 2.2.6: what the client has shown. */
enum { PP2_CLIENT_SSL = 1, PP2_CLIENT_CERT_CONN = 2, PP2_CLIENT_CERT_SESS = 4 };

#endif
