/*
 * The overview of sample.h.
 */
#include "tests/unit/admin/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static void
fill_listener(struct overview_listener *listener)
{
	listener->name = "w\"e\\b";
	listener->addresses = calloc(1, sizeof(listener->addresses[0]));
	snprintf(listener->addresses[0], ADDR_TEXT_MAX, "[::]:443");
	listener->address_count = 1;
	listener->backends = calloc(2, sizeof(listener->backends[0]));
	listener->backends[0] = (struct overview_backend){
		.name = "a:1",
		.addresses = 2,
		.resting = 1,
		.errors = 5,
		.state = BACKEND_STATE_UP,
	};
	listener->backends[1] = (struct overview_backend){
		.name = "b:1",
		.host = "b.example",
		.addresses = 1,
		.resting = 1,
		.state = BACKEND_STATE_DOWN,
		.checked = true,
		.since_s = 1700,
		.error = "Connection refused",
		.error_s = 1800,
	};
	listener->backend_count = 2;
	listener->counts.accepted = 12;
	listener->counts.closed = 5;
	listener->counts.ended[CONN_DONE] = 4;
	listener->counts.ended[CONN_HANDSHAKE_FAILED] = 1;
	listener->counts.failed[CONN_HANDSHAKE_FAILED] = 1;
	listener->counts.handshakes[STATS_TLS_1_3][1][0] = 3;
	listener->counts.handshakes[STATS_TLS_1_2][0][1] = 2;
	listener->counts.durations[0] = 3;
	listener->counts.durations[2] = 1;
	listener->counts.durations[STATS_BUCKETS] = 1;
	listener->counts.duration_ms = 20007;
	listener->counts.bytes_in = 100;
	listener->counts.bytes_out = 200;
	listener->counts.staples[STATS_STAPLE_SENT] = 2;
	listener->counts.staples[STATS_STAPLE_NONE] = 1;
}

static void
fill_certificate(
    struct overview_certificate *certificate, const char *name, char digit)
{
	struct staple_info *staple = &certificate->staple;

	certificate->listener = "web";
	certificate->file = "/a.pem";
	certificate->mode = "always";
	certificate->in_service = true;
	certificate->clients_get = "a staple: good";
	certificate->not_before = SAMPLE_NOW - 1000;
	certificate->not_after = SAMPLE_NOW + 1000;
	snprintf(certificate->serial, sizeof(certificate->serial), "0A");
	snprintf(staple->name, sizeof(staple->name), "%s", name);
	memset(staple->id, digit, sizeof(staple->id) - 1);
}

static void
fill_staple(struct staple_info *staple)
{
	staple->wanted = staple->held = true;
	staple->this_update = SAMPLE_NOW - 100;
	staple->next_update = staple->expires = SAMPLE_NOW + 100;
	staple->next_try = SAMPLE_NOW + 50;
	staple->last_success = SAMPLE_NOW - 90;
	staple->failures = 1;
	staple->outcome = STAPLE_TIMEOUT_CONNECT;
	staple->fetches[STAPLE_GOOD] = 3;
	staple->fetches[STAPLE_TIMEOUT_CONNECT] = 1;
	snprintf(staple->said, sizeof(staple->said), "no connection");
}

struct overview *
sample_overview(void)
{
	struct overview *overview = calloc(1, sizeof(*overview));

	cr_assert_not_null(overview);
	overview->now_ms = SAMPLE_NOW * INT64_C(1000) + 250;
	overview->start_s = SAMPLE_NOW - 5000;
	overview->config_file = "c.ini";
	overview->openssl = "3.0.0";
	overview->threads = 2;
	overview->state = STATE_SERVING;
	overview->ready = true;
	overview->reloads.succeeded = 2;
	overview->reloads.failed = 1;
	overview->listeners = calloc(1, sizeof(overview->listeners[0]));
	overview->listener_count = 1;
	fill_listener(&overview->listeners[0]);
	/* Two of one name, and the second one under two policies. */
	overview->certificates = calloc(3, sizeof(overview->certificates[0]));
	overview->certificate_count = 3;
	fill_certificate(&overview->certificates[0], "a.example", 'a');
	fill_staple(&overview->certificates[0].staple);
	fill_certificate(&overview->certificates[1], "a.example", 'b');
	fill_certificate(&overview->certificates[2], "a.example", 'b');
	overview->certificates[2].host = "b.example";
	overview->crls = calloc(1, sizeof(overview->crls[0]));
	overview->crl_count = 1;
	overview->crls[0].file = "crl.pem";
	snprintf(
	    overview->crls[0].issuer, sizeof(overview->crls[0].issuer), "CN=C");
	overview->crls[0].next_update = SAMPLE_NOW + 7;
	return overview;
}
