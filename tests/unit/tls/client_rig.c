/*
 * See client_rig.h.
 */
#include "tests/unit/tls/client_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/support/crl.h"
#include "tests/unit/tls/resumption_rig.h"

static void
dress(struct guest *guest)
{
	SSL *client = guest->link.client;
	SSL_SESSION *copy = NULL;

	SSL_set_min_proto_version(client, link_versions[guest->v].version);
	SSL_set_max_proto_version(client, link_versions[guest->v].version);
	if (guest->pair != NULL)
		cr_assert(SSL_use_cert_and_key(client, guest->pair->certificate,
		    guest->pair->key, NULL, 1));
	if (guest->along != NULL)
		cr_assert(
		    SSL_add1_chain_cert(client, guest->along->certificate));
	if (guest->session == NULL)
		return;
	copy = SSL_SESSION_dup(guest->session);
	cr_assert(copy != NULL && SSL_set_session(client, copy) == 1);
	SSL_SESSION_free(copy);
}

enum io
guest_come(struct guest *guest, struct tls_server *server)
{
	struct link *link = &guest->link;
	enum io io;

	link_open_tls(link, LINK_STREAM, server);
	dress(guest);
	if (guest->in_2020)
		X509_VERIFY_PARAM_set_time(
		    SSL_get0_param(link->server.ssl), (time_t)GUEST_2020_S);
	io = link_handshake(link, NULL);
	/* In TLS 1.3 the ticket comes with the first bytes. */
	if (io == IO_DONE)
		cr_assert_eq(link_answer(link, "x"), IO_DONE);
	return io;
}

bool
guest_was_told(struct guest *guest)
{
	char byte;

	(void)link_hear(&guest->link, &byte, 1);
	return SSL_get_shutdown(guest->link.client) & SSL_RECEIVED_SHUTDOWN;
}

void
guest_keep_session(struct guest *guest)
{
	char byte;

	cr_assert_eq(link_hear(&guest->link, &byte, 1), 1);
	guest_forget(guest);
	guest->session = guest->link.session;
	guest->link.session = NULL;
	cr_assert_not_null(guest->session);
}

void
guest_go(struct guest *guest)
{
	link_close(&guest->link);
}

void
guest_forget(struct guest *guest)
{
	SSL_SESSION_free(guest->session);
	guest->session = NULL;
}

static void
keep(const char *name, char *text)
{
	free(pki_write(&rig.folder, name, text));
	free(text);
}

void
client_rig_write(const char *name, const struct pki *authority)
{
	keep(name, pki_certificate_pem(authority));
}

void
client_rig_write_list(const char *name, const struct crl_wish *wish)
{
	keep(name, crl_pem(wish));
}
