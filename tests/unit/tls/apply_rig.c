/*
 * See apply_rig.h.
 */
#include "tests/unit/tls/apply_rig.h"

#include <criterion/criterion.h>

enum { LISTENER, HOST, PLACES };

static struct ticket_keys *keys;

void
apply_begin(void)
{
	keys = ticket_keys_new(NULL);
	cr_assert_not_null(keys);
}

void
apply_end(void)
{
	ticket_keys_unref(keys);
}

static void
limit(SSL *client, int version)
{
	SSL_set_min_proto_version(client, version);
	SSL_set_max_proto_version(client, version);
}

static char host_name[] = "host.example", other_name[] = "other.example";

/* A client in that place.  What its server saw, or "refused". */
static void
expect(struct tls_server *server, int place, int version,
    const struct apply_row *row)
{
	static const char *const places[] = { "the listener", "the host" };
	static char *const names[] = { other_name, host_name };
	const char *wanted = place == LISTENER ? row->expect_one
					       : row->expect_other;
	struct link link;
	const char *seen = "refused";

	link_open_tls(&link, LINK_STREAM, server);
	if (version != APPLY_ANY)
		limit(link.client, version);
	cr_assert(SSL_set_tlsext_host_name(link.client, names[place]));
	if (row->prepare != NULL)
		row->prepare(link.client);
	if (link_handshake(&link, NULL) == IO_DONE)
		seen = row->look(&link);
	cr_expect_str_eq(seen, wanted, "%s: %s (%x): %s, not %s", row->what,
	    places[place], (unsigned)version, seen, wanted);
	link_close(&link);
}

static void
try_in_place(const struct apply_row *row)
{
	const int each[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	const int *versions = row->version == 0 ? each : &row->version;
	size_t count = row->version == 0 ? ARRAY_LEN(each) : 1;
	struct config_listener listener = row->one, host = row->other;
	struct tls_server *server;

	host.pattern = "host.example";
	listener.hosts = &host;
	listener.host_count = 1;
	server = link_server(&listener, PKI_P256, keys);
	for (int place = LISTENER; place < PLACES; place++)
		for (size_t i = 0; i < count; i++)
			expect(server, place, versions[i], row);
	tls_server_unref(server);
}

void
apply_both_ways(const struct apply_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct apply_row turned = rows[i];

		turned.one = rows[i].other;
		turned.other = rows[i].one;
		turned.expect_one = rows[i].expect_other;
		turned.expect_other = rows[i].expect_one;
		try_in_place(&rows[i]);
		try_in_place(&turned);
	}
}
