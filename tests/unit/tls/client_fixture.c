/*
 * See client_fixture.h.  What a configuration borrows is in its policy_server:
 * strings of rows, and paths in the folder of the fixture.
 */
#include "tests/unit/tls/client_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/crl.h"

/* FIXTURE_END_S */
#define END_TEXT "20400101000000Z"

struct client_fixture fixture;

static int64_t
fixture_now(void *arg)
{
	return *(const int64_t *)arg;
}

static void
keep(const char *name, char *text)
{
	free(pki_write(&fixture.folder, name, text));
	free(text);
}

static void
write_authorities(void)
{
	char *one = pki_certificate_pem(&fixture.ca);
	char *two = pki_certificate_pem(&fixture.other_ca);

	keep("both.pem", pki_join(one, two));
	keep("ca.pem", one);
	keep("other.pem", two);
	keep("brief.pem", pki_certificate_pem(&fixture.brief_ca));
	keep("empty.crl", crl_pem(&(struct crl_wish){ .issuer = &fixture.ca }));
	keep("revoked.crl", crl_pem(&(struct crl_wish){ .issuer = &fixture.ca,
				.revoked = &fixture.client }));
	keep("brief.crl", crl_pem(&(struct crl_wish){
			      .issuer = &fixture.ca, .to = END_TEXT }));
}

static struct pki
make_client(const struct pki *issuer, const char *to)
{
	return pki_make(&(struct pki_wish){ .name = "client",
	    .san = "DNS:client.example",
	    .issuer = issuer,
	    .to = to });
}

static struct identity *
make_identity(void)
{
	struct pki made = pki_make(&(struct pki_wish){ .name = "localhost" });
	struct identity *identity = link_identity(&made, "");

	pki_drop(&made);
	return identity;
}

void
fixture_open(void)
{
	fixture.now_ms = INT64_C(1700000000000);
	fixture.keys = ticket_keys_new(NULL);
	cr_assert_not_null(fixture.keys);
	ticket_keys_set_clock(fixture.keys, fixture_now, &fixture.now_ms);
	pki_folder_make(&fixture.folder);
	fixture.ca = pki_make(&(struct pki_wish){ .name = "CA", .ca = true });
	fixture.other_ca = pki_make(
	    &(struct pki_wish){ .name = "Other", .ca = true });
	fixture.brief_ca = pki_make(
	    &(struct pki_wish){ .name = "Brief", .ca = true, .to = END_TEXT });
	fixture.client = make_client(&fixture.ca, NULL);
	fixture.brief_client = make_client(&fixture.ca, END_TEXT);
	fixture.brief_ca_client = make_client(&fixture.brief_ca, NULL);
	fixture.identity = make_identity();
	write_authorities();
}

void
fixture_renew_server(void)
{
	identity_unref(fixture.identity);
	fixture.identity = make_identity();
}

void
fixture_close(void)
{
	identity_unref(fixture.identity);
	pki_drop(&fixture.client);
	pki_drop(&fixture.brief_client);
	pki_drop(&fixture.brief_ca_client);
	pki_drop(&fixture.ca);
	pki_drop(&fixture.other_ca);
	pki_drop(&fixture.brief_ca);
	pki_folder_remove(&fixture.folder);
	ticket_keys_unref(fixture.keys);
}

static struct config_strings
list_of(struct policy_server *policy_server, size_t site, size_t key,
    const char *word)
{
	char *copy = policy_server->words[site][key];

	if (word == NULL)
		return (struct config_strings){ 0 };
	snprintf(copy, sizeof(policy_server->words[site][key]), "%s", word);
	policy_server->items[site][key] = copy;
	return (struct config_strings){ &policy_server->items[site][key], 1 };
}

static void
fill_settings(struct policy_server *policy_server, size_t i,
    const struct policy_row *row, struct config_listener *settings)
{
	char(*paths)[96] = policy_server->paths[i];

	*settings = link_config();
	snprintf(paths[0], sizeof(paths[0]), "%s/%s", fixture.folder.path,
	    row->ca != NULL ? row->ca : "ca.pem");
	snprintf(paths[1], sizeof(paths[1]), "%s/%s", fixture.folder.path,
	    row->crl != NULL ? row->crl : "");
	settings->name = row->listener != NULL ? row->listener : "test";
	settings->pattern = row->pattern;
	settings->verify = row->verify;
	settings->ca_file = row->verify != VERIFY_NONE ? paths[0] : NULL;
	settings->crl_file = row->crl != NULL ? paths[1] : NULL;
	settings->crl_check = row->chain ? CRL_CHECK_CHAIN : CRL_CHECK_LEAF;
	settings->ciphers = row->ciphers;
	settings->tickets = !row->off;
	settings->allow_san = list_of(policy_server, i, 0, row->allow);
	settings->allow_cn = list_of(policy_server, i, 1, row->cn);
}

void
policy_server_open(struct policy_server *policy_server,
    const struct policy_row *rows, size_t count)
{
	cr_assert_leq(count, FIXTURE_SITES_MAX);
	fill_settings(policy_server, 0, &rows[0], &policy_server->listener);
	for (size_t i = 1; i < count; i++)
		fill_settings(
		    policy_server, i, &rows[i], &policy_server->hosts[i - 1]);
	policy_server->listener.hosts = policy_server->hosts;
	policy_server->listener.host_count = count - 1;
	policy_server->server = link_server_of(
	    &policy_server->listener, fixture.identity, fixture.keys);
}

void
policy_server_close(struct policy_server *policy_server)
{
	tls_server_unref(policy_server->server);
}

struct visitor
fixture_visitor(size_t v, const char *name, const struct pki *pair)
{
	return (struct visitor){
		.version = link_versions[v].version, .name = name, .pair = pair
	};
}

/* ---- Clients whose connection stays open ---- */

static void
set_up_client(struct open_client *opened)
{
	SSL *client = opened->link.client;
	SSL_SESSION *copy = NULL;

	SSL_set_min_proto_version(client, link_versions[opened->v].version);
	SSL_set_max_proto_version(client, link_versions[opened->v].version);
	if (opened->pair != NULL)
		cr_assert(SSL_use_cert_and_key(client,
		    opened->pair->certificate, opened->pair->key, NULL, 1));
	if (opened->along != NULL)
		cr_assert(
		    SSL_add1_chain_cert(client, opened->along->certificate));
	if (opened->session == NULL)
		return;
	copy = SSL_SESSION_dup(opened->session);
	cr_assert(copy != NULL && SSL_set_session(client, copy) == 1);
	SSL_SESSION_free(copy);
}

enum io
open_client_connect(struct open_client *opened, struct tls_server *server)
{
	struct link *link = &opened->link;
	enum io io;

	link_open_tls(link, LINK_STREAM, server);
	set_up_client(opened);
	if (opened->in_2020)
		X509_VERIFY_PARAM_set_time(
		    SSL_get0_param(link->server.ssl), (time_t)CLIENT_2020_S);
	io = link_handshake(link, NULL);
	/* In TLS 1.3 the ticket comes with the first bytes. */
	if (io == IO_DONE)
		cr_assert_eq(link_answer(link, "x"), IO_DONE);
	return io;
}

bool
open_client_got_alert(struct open_client *opened)
{
	char byte;

	(void)link_hear(&opened->link, &byte, 1);
	return SSL_get_shutdown(opened->link.client) & SSL_RECEIVED_SHUTDOWN;
}

void
open_client_keep_session(struct open_client *opened)
{
	char byte;

	cr_assert_eq(link_hear(&opened->link, &byte, 1), 1);
	open_client_drop_session(opened);
	opened->session = opened->link.session;
	opened->link.session = NULL;
	cr_assert_not_null(opened->session);
}

void
open_client_close(struct open_client *opened)
{
	link_close(&opened->link);
}

void
open_client_drop_session(struct open_client *opened)
{
	SSL_SESSION_free(opened->session);
	opened->session = NULL;
}

void
fixture_write_ca(const char *name, const struct pki *authority)
{
	keep(name, pki_certificate_pem(authority));
}

void
fixture_write_crl(const char *name, const struct crl_wish *wish)
{
	keep(name, crl_pem(wish));
}
