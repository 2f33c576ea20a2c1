/*
 * The PROXY header that goes to the backend: the first bytes in the buffer of
 * what the client says, so that it leaves with the first send, whoever speaks
 * first.  Listener thread; composed in the buffer itself.
 */
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "config/config.h"
#include "proxy/conn_inner.h"

enum {
	NAME_BYTES = 256,
	CERTIFICATE_BYTES = 8 * 1024,
	UNIQUE_BYTES = 16 /* of chance; twice as many digits */
};

/* What the facts of a header point to, while it is composed: each part is
 * filled in where it is pointed to. */
struct sheet {
	struct stream_facts tls;
	struct addr local;
	char name[NAME_BYTES];
	uint8_t certificate[CERTIFICATE_BYTES];
	char unique[2 * UNIQUE_BYTES + 1];
};

/* Where the client connected to, as far as is known. */
static const struct addr *
find_local(const struct conn *conn, struct sheet *sheet)
{
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);

	if (conn->carried && conn->carried->server.len > 0)
		return &conn->carried->server;
	if (getsockname(conn->client.fd, (struct sockaddr *)&local, &len) != 0)
		return NULL;
	addr_from_sockaddr(&sheet->local, (struct sockaddr *)&local, len);
	return &sheet->local;
}

/* What came along goes on, so that one connection has one name all the way. */
static void
name_connection(const struct conn *conn, struct sheet *sheet,
    struct proxyproto_facts *facts)
{
	uint8_t chance[UNIQUE_BYTES];

	if (conn->carried && conn->carried->unique_len > 0) {
		facts->unique = conn->carried->unique;
		facts->unique_len = conn->carried->unique_len;
		return;
	}
	if (getrandom(chance, sizeof(chance), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(chance))
		return; /* none rather than one that is not unique */
	for (size_t i = 0; i < sizeof(chance); i++)
		snprintf(sheet->unique + 2 * i, 3, "%02x", chance[i]);
	facts->unique = (const uint8_t *)sheet->unique;
	facts->unique_len = sizeof(sheet->unique) - 1;
}

static void
describe_tls(const struct conn *conn, struct sheet *sheet,
    struct proxyproto_facts *facts)
{
	const struct stream_facts *tls = &sheet->tls;

	stream_facts(&conn->client, &sheet->tls);
	facts->authority = tls->sni;
	facts->alpn = tls->alpn;
	facts->alpn_len = tls->alpn_len;
	facts->tls = true;
	facts->client_presented = tls->client_presented;
	facts->client_in_session = tls->client_in_session;
	facts->client_verified = tls->client_verified;
	facts->version = tls->version;
	facts->cipher = tls->cipher;
	facts->key_algorithm = tls->key_algorithm;
	facts->signature_algorithm = tls->signature_algorithm;
	if (facts->tlvs & PROXY_TLV_CN) {
		stream_client_name(
		    &conn->client, sheet->name, sizeof(sheet->name));
		facts->common_name = sheet->name;
	}
	if (facts->tlvs & PROXY_TLV_CERT) {
		facts->certificate = sheet->certificate;
		facts->certificate_len = stream_client_der(&conn->client,
		    sheet->certificate, sizeof(sheet->certificate));
	}
}

/* The header into out; its length. */
static size_t
compose(const struct conn *conn, uint8_t *out)
{
	const struct config_listener *settings = conn->settings;
	struct proxyproto_facts facts = {
		.client = &conn->peer,
		.tlvs = settings->proxy_tlv,
	};
	struct sheet sheet;

	facts.local = find_local(conn, &sheet);
	if (settings->proxy_out == PROXY_OUT_V2) {
		describe_tls(conn, &sheet, &facts);
		if (facts.tlvs & PROXY_TLV_UNIQUE_ID)
			name_connection(conn, &sheet, &facts);
	}
	return proxyproto_format(settings->proxy_out, &facts, out);
}

bool
conn_header_put(struct conn *conn)
{
	uint8_t *front;

	if (conn->settings->proxy_out == PROXY_OUT_OFF)
		return true;
	front = relay_front(&conn->up, PROXYPROTO_OUT_MAX);
	if (front == NULL)
		return false;
	relay_commit(&conn->up, compose(conn, front));
	return true;
}
