/*
 * One line per connection, fields only: who came, what was agreed, where it
 * went, how much, how long, why it ended.  Listener thread.  The names a
 * client sent are bytes of a stranger; the log escapes and cuts them.
 */
#include "proxy/access.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* Lengths on the wire are one byte. */
#define ALPN_MAX 256
#define NAME_MAX_BYTES 128

static const char *
terminate_alpn(const struct stream_facts *facts, char out[ALPN_MAX])
{
	size_t len = facts->alpn_len;

	if (facts->alpn == NULL)
		return NULL;
	if (len >= ALPN_MAX)
		len = ALPN_MAX - 1;
	memcpy(out, facts->alpn, len);
	out[len] = '\0';
	return out;
}

static const char *
verify_word(const struct stream_facts *facts)
{
	if (facts->client_verified)
		return "ok";
	return facts->client_in_session ? "failed" : "none";
}

void
access_write(struct log *log, const struct access_record *record)
{
	struct stream_facts facts = { 0 };
	char peer[ADDR_TEXT_MAX], via[ADDR_TEXT_MAX], alpn[ALPN_MAX];
	char name[NAME_MAX_BYTES] = "";

	if (!log_has_access(log))
		return;
	if (record->handshake_done)
		stream_facts(record->client, &facts);
	if (facts.client_verified)
		stream_client_name(record->client, name, sizeof(name));

	const struct log_field fields[] = {
		{ 0 }, /* the placeholder log_access skips */
		LOG_N("conn", record->id),
		LOG_S("listener", record->listener),
		LOG_S("peer", addr_print(record->peer, peer, sizeof(peer))),
		LOG_S("via", record->via
				 ? addr_print(record->via, via, sizeof(via))
				 : NULL),
		LOG_S("host", record->host),
		LOG_S("sni", facts.sni),
		LOG_S("alpn", terminate_alpn(&facts, alpn)),
		LOG_S("version", facts.version),
		LOG_S("cipher", facts.cipher),
		LOG_S("group", facts.group),
		LOG_S("resumed", facts.resumed ? "yes" : "no"),
		LOG_S("stapled", facts.stapled ? "yes" : "no"),
		LOG_S("verify",
		    record->handshake_done ? verify_word(&facts) : NULL),
		LOG_S("client", name[0] ? name : NULL),
		LOG_S("backend", record->backend),
		LOG_N("up", record->bytes_up),
		LOG_N("down", record->bytes_down),
		LOG_N("handshake_ms", record->handshake_ms),
		LOG_N("connect_ms", record->connect_ms),
		LOG_N("ms", record->total_ms),
		LOG_S("reason", conn_reason_name(record->reason)),
	};
	log_access(log, fields, sizeof(fields) / sizeof(fields[0]));
}
