/*
 * Any bytes as the first message of a client, and as its server name, to a
 * listener with hosts of different policies, with and without a default.  No
 * handshake is ever done, and a refused client has no site.
 */
#include <stdlib.h>

#include <openssl/err.h>

#include "tests/support/hello.h"
#include "tests/support/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config_listener listener, hosts[3];
static struct tls_server *servers[2]; /* default, reject */

static void
make_servers(void)
{
	struct ticket_keys *keys = ticket_keys_new(NULL);

	listener = link_config();
	hosts[0] = hosts[1] = hosts[2] = listener;
	hosts[0].pattern = "a.example";
	hosts[0].groups = "P-384"; /* a HelloRetryRequest */
	hosts[1].pattern = "*.example";
	hosts[1].max_version = TLS_VERSION_1_2;
	hosts[2].pattern = "b.example";
	hosts[2].min_version = TLS_VERSION_1_3;
	hosts[2].tickets = false;
	listener.hosts = hosts;
	listener.host_count = 3;
	servers[0] = link_server(&listener, PKI_P256, keys);
	listener.sni_unknown = SNI_REJECT;
	servers[1] = link_server(&listener, PKI_P256, keys);
	ticket_keys_unref(keys);
}

static void
feed(struct tls_server *server, const uint8_t *data, size_t size)
{
	SSL *ssl = tls_server_ssl(server);
	BIO *in = BIO_new_mem_buf(data, (int)size);

	BIO_set_mem_eof_return(in, -1); /* more may come */
	SSL_set_bio(ssl, in, BIO_new(BIO_s_mem()));
	SSL_set_accept_state(ssl);
	if (SSL_do_handshake(ssl) == 1 ||
	    tls_server_site(server, tls_site_of(ssl)->number) !=
		tls_site_of(ssl))
		abort();
	SSL_free(ssl);
	ERR_clear_error();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t hello[HELLO_MAX];

	if (servers[0] == NULL)
		make_servers();
	for (int i = 0; i < 2; i++) {
		feed(servers[i], data, size);
		if (size <= HELLO_MAX / 2)
			feed(servers[i], hello, hello_make(hello, data, size));
	}
	return 0;
}
