/*
 * Writes the corpus of the target `clienthello`: server_name extensions, sound
 * or wrong in one way each, and ClientHellos as OpenSSL writes them.  To make
 * them anew, in the folder where configure ran:
 *
 *   make tests/fuzz/hello_seeds
 *   tests/fuzz/hello_seeds SOURCES/tests/fuzz/corpus/clienthello
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "base/attr.h"
#include "tests/support/hello.h"

static const struct {
	const char *file, *name;
	size_t len;
} names[] = {
	{ "sni-host", "a.example", 9 },
	{ "sni-wildcard", "c.example", 9 },
	{ "sni-upper-case", "A.EXAMPLE", 9 },
	{ "sni-trailing-dot", "a.example.", 10 },
	{ "sni-unknown", "unknown.invalid", 15 },
	{ "sni-nul", "a.example\0.evil", 15 },
	{ "sni-address", "192.0.2.1", 9 },
	{ "sni-address-v6", "2001:db8::1", 11 },
	{ "sni-star", "*.example", 9 },
	{ "sni-dots", "a..example", 10 },
	{ "sni-empty-name", "", 0 },
};

static const struct {
	const char *file, *bytes;
	size_t len;
} extensions[] = {
	{ "list-empty", "\0\0", 2 },
	{ "list-other-type", "\0\x04\x01\0\x01x", 6 },
	{ "list-two-names", "\0\x08\0\0\x01x\0\0\x01y", 10 },
	{ "list-two-types", "\0\x09\0\0\x01x\x01\0\x02yz", 11 },
	{ "list-too-long", "\0\x09\0\0\x04x.yz", 9 },
	{ "list-too-short", "\0\x06\0\0\x04x.yz", 9 },
	{ "list-half", "\0", 1 },
};

static const struct {
	const char *file, *name, *groups;
	int version;
} clients[] = {
	{ "hello-1.2", "c.example", "X25519:P-256", TLS1_2_VERSION },
	{ "hello-1.3", "b.example", "X25519:P-256", TLS1_3_VERSION },
	{ "hello-retry", "a.example", "X25519:P-384", TLS1_3_VERSION },
	{ "hello-nameless", NULL, "P-256", 0 },
};

static const char *folder;

static void
write_file(const char *name, const void *bytes, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, len, file) != len ||
	    fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static void
write_label(const char *file, size_t len)
{
	uint8_t sni[HELLO_MAX];
	char name[1024];

	memset(name, 'x', sizeof(name));
	write_file(file, sni, hello_sni(sni, name, len));
}

static void
write_client(size_t i)
{
	static const unsigned char alpn[] = "\x02h2\x08http/1.1";
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	char name[64], *bytes;
	long len;

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_min_proto_version(ssl, clients[i].version);
	SSL_set_max_proto_version(ssl, clients[i].version);
	SSL_set1_groups_list(ssl, clients[i].groups);
	SSL_set_alpn_protos(ssl, alpn, sizeof(alpn) - 1);
	if (clients[i].name != NULL) {
		snprintf(name, sizeof(name), "%s", clients[i].name);
		SSL_set_tlsext_host_name(ssl, name);
	}
	(void)SSL_connect(ssl); /* sends its ClientHello */
	len = BIO_get_mem_data(SSL_get_wbio(ssl), &bytes);
	write_file(clients[i].file, bytes, (size_t)len);
	SSL_free(ssl);
	SSL_CTX_free(context);
}

int
main(int argc, char **argv)
{
	uint8_t sni[HELLO_MAX];
	size_t i;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	folder = argv[1];
	for (i = 0; i < ARRAY_LEN(names); i++)
		write_file(names[i].file, sni,
		    hello_sni(sni, names[i].name, names[i].len));
	for (i = 0; i < ARRAY_LEN(extensions); i++)
		write_file(
		    extensions[i].file, extensions[i].bytes, extensions[i].len);
	write_label("sni-label-63", 63);
	write_label("sni-label-64", 64);
	write_label("sni-label-255", 255);
	write_label("sni-label-1000", 1000);
	for (i = 0; i < ARRAY_LEN(clients); i++)
		write_client(i);
	return 0;
}
