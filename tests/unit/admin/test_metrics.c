/*
 * The text of /metrics: each series once, escaped, with the numbers of the
 * overview.  promtool checks the text of a running process (test_50_admin).
 */
#include "admin/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/admin/sample.h"

static char *
print(struct overview *overview)
{
	size_t len;
	char *text = metrics_print(overview, &len);

	cr_assert_not_null(text);
	cr_expect_eq(strlen(text), len);
	overview_free(overview);
	return text;
}

/* Is this a whole line of the text? */
static bool
has_line(const char *text, const char *line)
{
	const char *at = text;
	size_t len = strlen(line);

	while ((at = strstr(at, line)) != NULL) {
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
		at += len;
	}
	return false;
}

Test(metrics, has_the_numbers_of_the_overview)
{
	static const char *const lines[] = {
		"clinch_clock_timestamp_seconds 1700000000.250",
		"clinch_ready 1",
		"clinch_reloads_total{result=\"success\"} 2",
		"clinch_reloads_total{result=\"failure\"} 1",
		"clinch_connections{listener=\"w\\\"e\\\\b\"} 7",
		"clinch_connections_total{listener=\"w\\\"e\\\\b\","
		"result=\"done\"} 4",
		"clinch_handshakes_total{listener=\"w\\\"e\\\\b\","
		"version=\"TLSv1.3\",group=\"x25519\",resumed=\"no\","
		"result=\"ok\"} 3",
		"clinch_handshakes_total{listener=\"w\\\"e\\\\b\","
		"version=\"TLSv1.2\",group=\"none\",resumed=\"yes\","
		"result=\"ok\"} 2",
		"clinch_handshakes_total{listener=\"w\\\"e\\\\b\","
		"version=\"none\",group=\"none\",resumed=\"no\","
		"result=\"handshake_failed\"} 1",
		"clinch_bytes_total{listener=\"w\\\"e\\\\b\","
		"direction=\"out\"} 200",
		"clinch_staples_total{listener=\"w\\\"e\\\\b\","
		"outcome=\"none\"} 1",
		"clinch_backend_up{listener=\"w\\\"e\\\\b\",backend=\"a:1\"} 1",
		"clinch_backend_up{listener=\"w\\\"e\\\\b\",backend=\"b:1\"} 0",
		"clinch_backend_errors_total{listener=\"w\\\"e\\\\b\","
		"backend=\"a:1\"} 5",
		"clinch_certificate_not_after_timestamp_seconds{"
		"certificate=\"a.example\",id=\"aaaaaaaa\",serial=\"0A\"} "
		"1700001000",
		"clinch_staple_next_fetch_timestamp_seconds{"
		"certificate=\"a.example\",id=\"aaaaaaaa\"} 1700000050",
		"clinch_staple_state{certificate=\"a.example\","
		"id=\"aaaaaaaa\",state=\"good\"} 1",
		"clinch_staple_fetches_total{certificate=\"a.example\","
		"id=\"aaaaaaaa\",outcome=\"timeout_connect\"} 1",
		"clinch_crl_next_update_timestamp_seconds{issuer=\"CN=C\"} "
		"1700000007",
	};
	char *text = print(sample_overview());

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect(has_line(text, lines[i]), "%s", lines[i]);
	free(text);
}

Test(metrics, adds_up_the_histogram)
{
	static const struct {
		const char *end;
		int count;
	} rows[] = { { "0.001", 3 }, { "0.002", 3 }, { "0.005", 4 },
		{ "10", 4 }, { "+Inf", 5 } };
	char *text = print(sample_overview());
	char line[160];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line),
		    "clinch_handshake_duration_seconds_bucket{"
		    "listener=\"w\\\"e\\\\b\",le=\"%s\"} %d",
		    rows[i].end, rows[i].count);
		cr_expect(has_line(text, line), "%s", line);
	}
	cr_expect(has_line(text, "clinch_handshake_duration_seconds_sum{"
				 "listener=\"w\\\"e\\\\b\"} 20.007"));
	cr_expect(has_line(text, "clinch_handshake_duration_seconds_count{"
				 "listener=\"w\\\"e\\\\b\"} 5"));
	free(text);
}

/* Without a staple there is no state: an alert on "good" must not be silenced
 * by a certificate that has nothing. */
Test(metrics, has_a_staple_state_only_for_a_staple_that_is_held)
{
	static const struct {
		const char *what;
		bool held, revoked;
		int64_t this_update, expires;
		const char *state; /* NULL: no line */
	} rows[] = {
		{ "none", false, false, 0, 0, NULL },
		{ "good", true, false, SAMPLE_NOW - 9, SAMPLE_NOW + 1, "good" },
		{ "no end", true, false, SAMPLE_NOW - 9, 0, "good" },
		{ "expired", true, false, SAMPLE_NOW - 9, SAMPLE_NOW,
		    "expired" },
		{ "early", true, false, SAMPLE_NOW + 300, SAMPLE_NOW + 900,
		    "good" },
		{ "future", true, false, SAMPLE_NOW + 301, SAMPLE_NOW + 900,
		    "future" },
		{ "revoked", true, true, SAMPLE_NOW - 9, SAMPLE_NOW + 1,
		    "revoked" },
	};
	char line[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct overview *overview = sample_overview();
		struct staple_info *staple = &overview->certificates[0].staple;
		char *text;

		staple->held = rows[i].held;
		staple->revoked = rows[i].revoked;
		staple->this_update = rows[i].this_update;
		staple->expires = rows[i].expires;
		text = print(overview);
		snprintf(line, sizeof(line),
		    "clinch_staple_state{certificate=\"a.example\","
		    "id=\"aaaaaaaa\",state=\"%s\"} 1",
		    rows[i].state ? rows[i].state : "");
		if (rows[i].state)
			cr_expect(has_line(text, line), "%s", rows[i].what);
		else
			cr_expect_null(strstr(text, "clinch_staple_state{"),
			    "%s", rows[i].what);
		free(text);
	}
}

/* Prometheus refuses a whole scrape with one label that is no UTF-8. */
Test(metrics, replaces_bytes_that_are_no_utf_8)
{
	static const struct {
		const char *name, *shown;
	} rows[] = {
		{ "\xc3\xa4", "\xc3\xa4" },
		{ "\xf0\x9f\x94\x92", "\xf0\x9f\x94\x92" },
		{ "a\xff", "a?" },
		{ "\xc3", "?" },
		{ "\xc0\xaf", "??" },
		{ "\xed\xa0\x80", "???" },
		{ "\xf4\x90\x80\x80", "????" },
	};
	char line[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct overview *overview = sample_overview();
		char *text;

		overview->listeners[0].name = rows[i].name;
		text = print(overview);
		snprintf(line, sizeof(line),
		    "clinch_connections{listener=\"%s\"} 7", rows[i].shown);
		cr_expect(has_line(text, line), "row %zu", i);
		free(text);
	}
}

Test(metrics, has_each_series_once)
{
	char *text = print(sample_overview());
	char *rest = text, *line, *lines[512];
	size_t count = 0;

	while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
		char *value = strrchr(line, ' ');

		if (line[0] == '#')
			continue;
		cr_assert_not_null(value);
		*value = '\0';
		for (size_t i = 0; i < count; i++)
			cr_expect_str_neq(lines[i], line);
		cr_assert_lt(count, sizeof(lines) / sizeof(lines[0]));
		lines[count++] = line;
	}
	cr_expect_gt(count, 50);
	free(text);
}
