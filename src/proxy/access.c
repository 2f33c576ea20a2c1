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

void
access_write(struct log *log, const struct access_record *record)
{
	struct stream_facts facts = { 0 };
	char peer[ADDR_TEXT_MAX], alpn[ALPN_MAX];

	if (!log_has_access(log))
		return;
	if (record->handshake_done)
		stream_facts(record->client, &facts);

	const struct log_field fields[] = {
		{ 0 }, /* the placeholder log_access skips */
		LOG_N("conn", record->id),
		LOG_S("listener", record->listener),
		LOG_S("peer", addr_print(record->peer, peer, sizeof(peer))),
		LOG_S("sni", facts.sni),
		LOG_S("alpn", terminate_alpn(&facts, alpn)),
		LOG_S("version", facts.version),
		LOG_S("cipher", facts.cipher),
		LOG_S("group", facts.group),
		LOG_S("resumed", facts.resumed ? "yes" : "no"),
		LOG_S("stapled", facts.stapled ? "yes" : "no"),
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
