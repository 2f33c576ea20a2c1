/*
 * The client of a health check, and what a server's stream makes of it.
 */
#include "tls/probe.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "tests/support/link.h"
#include "tests/support/ocsp.h"

enum { ROUNDS = 50 };

static struct ticket_keys *keys;
static struct link ends;
static struct probe *probe;

static void
set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
}

static void
tear_down(void)
{
	ticket_keys_unref(keys);
}

TestSuite(probe, .init = set_up, .fini = tear_down);

static void
begin(struct tls_server *server, const struct probe_options *options)
{
	struct err err;

	link_open_tls(&ends, LINK_STREAM, server);
	probe = probe_new(ends.peer, options, &err);
	cr_assert_not_null(probe, "%s", err.text);
}

static void
finish(void)
{
	probe_free(probe);
	link_close(&ends);
}

/* Both sides until the probe has a result; a server that is done ends. */
static const struct probe_result *
shake(enum io *server)
{
	*server = IO_WANT_READ;
	for (int round = 0; round < ROUNDS; round++) {
		if (probe_step(probe) == IO_DONE)
			return probe_result(probe);
		stream_readable(&ends.server);
		if (*server == IO_WANT_READ)
			*server = stream_handshake(&ends.server);
		if (*server == IO_DONE)
			cr_assert_eq(stream_end(&ends.server), IO_DONE);
	}
	cr_assert_fail("the probe has no result");
	return NULL;
}

static struct config_listener
limited_to(enum config_tls_version version)
{
	struct config_listener config = link_config();

	config.max_version = version;
	return config;
}

static const enum config_tls_version versions[] = { TLS_VERSION_1_2,
	TLS_VERSION_1_3 };

static const struct probe_options any = { .name = "", .kind = IDENTITY_KINDS };

Test(probe, is_accepted_by_a_close_after_the_handshake)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct config_listener config = limited_to(versions[i]);
		struct tls_server *server = link_server(
		    &config, PKI_P256, keys);
		const struct probe_options options = { .name = "a.example",
			.kind = IDENTITY_KINDS };
		const struct probe_result *result;
		struct stream_facts facts;
		enum io io;

		begin(server, &options);
		result = shake(&io);
		cr_expect_eq(io, IO_DONE);
		cr_expect_eq(
		    result->end, PROBE_ACCEPTED, "%s", result->why.text);
		cr_expect_not_null(result->chain.leaf);
		cr_expect_null(result->staple);
		cr_expect(!result->certificate_requested);
		cr_expect(stream_is_check(&ends.server));
		stream_facts(&ends.server, &facts);
		cr_expect_str_eq(facts.sni, "a.example");
		finish();
		tls_server_unref(server);
	}
}

static struct ocsp_made staple;

static int
on_status(SSL *ssl, void *arg)
{
	(void)arg;
	SSL_set_tlsext_status_ocsp_resp(
	    ssl, OPENSSL_memdup(staple.der, staple.len), (long)staple.len);
	return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL 3.6 sends a response only if it parses, and none for a certificate
 * that is its own issuer. */
static struct tls_server *
make_stapled(const struct config_listener *config)
{
	struct pki issuer = pki_make(
	    &(struct pki_wish){ .name = "CA", .ca = true });
	struct pki pair = pki_make(
	    &(struct pki_wish){ .name = "leaf", .issuer = &issuer });
	struct identity *identity = link_identity(&pair, "");
	struct tls_server *made = link_server_of(config, identity, keys);

	staple = ocsp_make(&(struct ocsp_wish){ .leaf = &pair,
	    .issuer = &issuer,
	    .this_update = time(NULL),
	    .next_update = time(NULL) + 3600 });
	identity_unref(identity);
	pki_drop(&pair);
	pki_drop(&issuer);
	SSL_CTX_set_tlsext_status_cb(link_native(made), on_status);
	return made;
}

Test(probe, takes_the_staple_as_it_came)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct config_listener config = limited_to(versions[i]);
		struct tls_server *server = make_stapled(&config);
		const struct probe_result *result;
		enum io io;

		begin(server, &any);
		result = shake(&io);
		cr_assert_eq(result->staple_len, staple.len);
		cr_expect_eq(memcmp(result->staple, staple.der, staple.len), 0);
		finish();
		tls_server_unref(server);
		ocsp_drop(&staple);
	}
}

Test(probe, requests_one_kind_of_certificate)
{
	static const struct {
		enum pki_key key;
		enum identity_kind kind;
		bool fits;
	} rows[] = {
		{ PKI_P256, IDENTITY_ECDSA, true },
		{ PKI_P256, IDENTITY_RSA, false },
		{ PKI_RSA, IDENTITY_RSA, true },
		{ PKI_RSA, IDENTITY_ECDSA, false },
		{ PKI_RSA, IDENTITY_ED25519, false },
	};

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		struct config_listener config = limited_to(versions[i % 2]);
		struct tls_server *server = link_server(
		    &config, rows[i / 2].key, keys);
		const struct probe_options options = { .name = "",
			.kind = rows[i / 2].kind };
		const struct probe_result *result;
		enum io io;

		begin(server, &options);
		result = shake(&io);
		if (rows[i / 2].fits) {
			cr_expect_eq(result->end, PROBE_ACCEPTED);
		} else {
			cr_expect_eq(result->end, PROBE_ALERT);
			cr_expect_eq(result->alert, PROBE_HANDSHAKE_FAILURE);
			cr_expect_null(result->chain.leaf);
			cr_expect(!stream_is_check(&ends.server));
		}
		finish();
		tls_server_unref(server);
	}
}

Test(probe, sees_that_a_client_certificate_is_required)
{
	struct pki_folder folder;
	const struct pki_wish ca_wish = { .name = "CA", .ca = true };
	struct pki ca = pki_make(&ca_wish);
	char *pem = pki_certificate_pem(&ca), *path;

	pki_folder_make(&folder);
	path = pki_write(&folder, "ca.pem", pem);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct config_listener config = limited_to(versions[i]);
		struct tls_server *server;
		const struct probe_result *result;
		enum io io;

		config.verify = VERIFY_REQUIRE;
		config.ca_file = path;
		server = link_server(&config, PKI_P256, keys);
		begin(server, &any);
		result = shake(&io);
		cr_expect_eq(io, IO_FAILED);
		cr_expect_eq(result->end, PROBE_ALERT, "%s", result->why.text);
		cr_expect(result->certificate_requested);
		cr_expect_eq(result->alert, versions[i] == TLS_VERSION_1_2
						? PROBE_HANDSHAKE_FAILURE
						: PROBE_CERTIFICATE_REQUIRED);
		cr_expect_not_null(result->chain.leaf);
		cr_expect(stream_is_check(&ends.server),
		    "nothing else was wrong with it");
		finish();
		tls_server_unref(server);
	}
	pki_drop(&ca);
	pki_folder_remove(&folder);
	free(pem);
	free(path);
}

Test(probe, takes_no_other_server_for_a_clinch)
{
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);
	const struct probe_result *result;
	enum io io;

	begin(server, &any);
	SSL_CTX_set_alpn_select_cb(link_native(server), NULL, NULL);
	result = shake(&io);
	cr_expect_eq(result->end, PROBE_OTHER,
	    "a server without the identifier is no clinch");
	cr_expect(!stream_is_check(&ends.server));
	finish();
	tls_server_unref(server);
}

Test(probe, recognises_what_is_no_tls)
{
	static const struct {
		const char *what, *bytes;
		enum probe_end end;
	} rows[] = {
		{ "a greeting", "220 mail ready\r\n", PROBE_NOT_TLS },
		{ "HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", PROBE_NOT_TLS },
		{ "nothing", "", PROBE_CLOSED },
		{ "an alert", "\x15\x03\x03\0\x02\x02\x70", PROBE_ALERT },
	};
	static const size_t lens[] = { 16, 28, 0, 7 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err;

		link_open_plain(&ends, LINK_STREAM);
		probe = probe_new(ends.peer, &any, &err);
		cr_assert_not_null(probe, "%s", err.text);
		cr_assert_eq(probe_step(probe), IO_WANT_READ);
		cr_assert_eq(
		    send(ends.server.fd, rows[i].bytes, lens[i], MSG_NOSIGNAL),
		    (ssize_t)lens[i]);
		cr_assert_eq(shutdown(ends.server.fd, SHUT_WR), 0);
		cr_assert_eq(probe_step(probe), IO_DONE);
		cr_expect_eq(probe_result(probe)->end, rows[i].end, "%s: %s",
		    rows[i].what, probe_result(probe)->why.text);
		cr_expect_neq(probe_result(probe)->why.text[0], '\0');
		finish();
	}
	cr_expect_eq(PROBE_UNRECOGNIZED_NAME, 0x70);
}

Test(probe, is_the_only_one_that_is_taken_for_a_check)
{
	static const struct {
		const char *what, *offer;
		unsigned offer_len;
	} rows[] = {
		{ "nothing offered", NULL, 0 },
		{ "another protocol", "\x02h2", 3 },
		{ "the identifier behind another",
		    "\x02h2\x12" STREAM_CHECK_PROTOCOL, 22 },
		{ "the identifier before another",
		    "\x12" STREAM_CHECK_PROTOCOL "\x02h2", 22 },
		{ "a longer one", "\x13" STREAM_CHECK_PROTOCOL "x", 20 },
	};
	struct config_listener config = link_config();
	struct tls_server *server = link_server(&config, PKI_P256, keys);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		link_open_tls(&ends, LINK_STREAM, server);
		cr_assert_eq(SSL_set_alpn_protos(ends.client,
				 (const unsigned char *)rows[i].offer,
				 rows[i].offer_len),
		    0);
		cr_assert_eq(link_handshake(&ends, NULL), IO_DONE);
		cr_expect(!stream_is_check(&ends.server), "%s", rows[i].what);
		link_close(&ends);
	}
	link_open_plain(&ends, LINK_STREAM);
	cr_expect(!stream_is_check(&ends.server), "a plain stream");
	link_close(&ends);
	tls_server_unref(server);
}

Test(probe, is_given_no_ticket)
{
	struct config_listener config = limited_to(TLS_VERSION_1_3);
	struct tls_server *server;
	enum io io;

	config.tickets = true;
	server = link_server(&config, PKI_P256, keys);
	begin(server, &any);
	io = IO_WANT_READ;
	for (int i = 0; i < ROUNDS && io == IO_WANT_READ; i++) {
		cr_assert_neq(probe_step(probe), IO_DONE);
		stream_readable(&ends.server);
		io = stream_handshake(&ends.server);
	}
	cr_expect_eq(io, IO_DONE);
	cr_expect(!ends.server.output_deferred, "nothing waits to be sent");
	finish();
	tls_server_unref(server);
}

Test(probe, finds_a_name_for_each_pattern)
{
	char pattern[PROBE_NAME_MAX] = "*.", name[PROBE_NAME_MAX];

	probe_name_for(name, "www.example");
	cr_expect_str_eq(name, "www.example");
	probe_name_for(name, "*.example");
	cr_expect_str_eq(name, "healthcheck.example");
	/* As long as a pattern may be: 253 bytes. */
	while (strlen(pattern) < 253)
		strcat(pattern, strlen(pattern) % 50 == 49 ? "." : "a");
	probe_name_for(name, pattern);
	cr_expect_str_eq(name + 1, pattern + 1);
	cr_expect_eq(name[0], 'x');
}

Test(probe, looks_at_a_certificate_file_without_its_key)
{
	const struct pki_wish wish = { .key = PKI_RSA,
		.name = "common.example",
		.san = "IP:192.0.2.1,DNS:*.b.example" };
	struct pki pair = pki_make(&wish);
	char *pem = pki_certificate_pem(&pair), *path;
	char name[PROBE_NAME_MAX];
	struct pki_folder folder;
	enum identity_kind kind;
	struct err err;

	pki_folder_make(&folder);
	path = pki_write(&folder, "cert.pem", pem);
	cr_assert(probe_read_cert(path, &kind, name, &err), "%s", err.text);
	cr_expect_eq(kind, IDENTITY_RSA);
	cr_expect_str_eq(name, "healthcheck.b.example");
	cr_expect(!probe_read_cert("/nonexistent/cert.pem", &kind, name, &err));
	cr_expect(err_names(&err, "/nonexistent/cert.pem"), "%s", err.text);
	cr_expect_str_eq(name, "");
	pki_folder_remove(&folder);
	pki_drop(&pair);
	free(pem);
	free(path);
}
