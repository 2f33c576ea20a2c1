/*
 * `clinch status` on a terminal: the process, its listeners, its certificates,
 * the worst certificates first.  Pure but for the output.
 *
 * The document comes from another process, perhaps of another version: a missing
 * value is shown as "-", and control characters are replaced.
 */
#include "admin/table.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct table {
	FILE *out;
	bool colours;
	long long now;
};

/* ---- Values ---- */

static const char *
text(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "-";
}

static long long
number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool
is_true(json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void
table_print_span(char out[TABLE_SPAN_MAX], long long seconds)
{
	static const struct {
		long long seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" },
		{ 1, "s" } };
	const char *sign = seconds < 0 ? "-" : "";
	long long rest = seconds < 0 ? -seconds : seconds;
	size_t i = 0;

	while (i < 3 && rest < units[i].seconds)
		i++;
	if (i == 3)
		snprintf(out, TABLE_SPAN_MAX, "%s%lld s", sign, rest);
	else
		snprintf(out, TABLE_SPAN_MAX, "%s%lld %s %lld %s", sign,
		    rest / units[i].seconds, units[i].name,
		    rest % units[i].seconds / units[i + 1].seconds,
		    units[i + 1].name);
}

/* The distance from now to a time; "-": none. */
static const char *
until(const struct table *table, json_t *object, const char *key,
    char out[TABLE_SPAN_MAX])
{
	long long time = number(object, key);

	if (time == 0)
		return "-";
	table_print_span(out, time - table->now);
	return out;
}

/* Bytes with a unit of 1,000. */
static const char *
amount(long long bytes, char out[TABLE_SPAN_MAX])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB",
		"PB" };
	double value = (double)bytes;
	size_t i = 0;

	while (value >= 1000 && i < 5) {
		value /= 1000;
		i++;
	}
	snprintf(out, TABLE_SPAN_MAX, i == 0 ? "%.0f %s" : "%.1f %s", value,
	    units[i]);
	return out;
}

/* ---- Output ---- */

/* Text of the document: a control character could move the cursor. */
static void
put(const struct table *table, const char *value)
{
	for (; *value != '\0'; value++)
		fputc(
		    (unsigned char)*value < ' ' || *value == 127 ? '?' : *value,
		    table->out);
}

/* The same, filled up to `width` columns. */
static void
put_wide(const struct table *table, const char *value, size_t width)
{
	size_t i, used = 0;

	put(table, value);
	for (i = 0; value[i] != '\0'; i++)
		if (((unsigned char)value[i] & 0xc0) != 0x80)
			used++;
	for (; used < width; used++)
		fputc(' ', table->out);
	fputs("  ", table->out);
}

static void
begin_colour(const struct table *table, const char *severity)
{
	if (!table->colours)
		return;
	if (strcmp(severity, "critical") == 0)
		fputs("\033[31m", table->out);
	else if (strcmp(severity, "warning") == 0)
		fputs("\033[33m", table->out);
	else if (strcmp(severity, "notice") == 0)
		fputs("\033[36m", table->out);
	else
		fputs("\033[32m", table->out);
}

static void
end_colour(const struct table *table)
{
	if (table->colours)
		fputs("\033[0m", table->out);
}

/* ---- Process ---- */

static void
print_reload(const struct table *table, json_t *reload)
{
	char span[TABLE_SPAN_MAX];

	if (number(reload, "last_time") == 0)
		return;
	table_print_span(span, table->now - number(reload, "last_time"));
	fprintf(table->out, "last reload  %s, %s ago\n",
	    text(reload, "last_result"), span);
	if (json_is_string(json_object_get(reload, "last_error"))) {
		begin_colour(table, "critical");
		put(table, text(reload, "last_error"));
		end_colour(table);
		fputc('\n', table->out);
	}
}

static void
print_process(const struct table *table, json_t *document)
{
	char span[TABLE_SPAN_MAX];
	json_t *reasons = json_object_get(document, "reasons");
	size_t i;

	table_print_span(span, table->now - number(document, "start_time"));
	fputs("clinch ", table->out);
	put(table, text(document, "version"));
	fprintf(
	    table->out, "  pid %lld  up %s  ", number(document, "pid"), span);
	begin_colour(table, is_true(document, "ready") ? "good" : "critical");
	put(table, text(document, "state"));
	fputs(
	    is_true(document, "ready") ? ", ready" : ", not ready", table->out);
	end_colour(table);
	fputs("\nconfiguration  ", table->out);
	put(table, text(document, "config"));
	fputc('\n', table->out);
	for (i = 0; i < json_array_size(reasons); i++) {
		const char *reason = json_string_value(
		    json_array_get(reasons, i));

		fputs("  ", table->out);
		put(table, reason ? reason : "-");
		fputc('\n', table->out);
	}
	print_reload(table, json_object_get(document, "reload"));
	if (number(document, "log_lines_dropped") > 0)
		fprintf(table->out, "log lines dropped  %lld\n",
		    number(document, "log_lines_dropped"));
}

/* ---- Listeners ---- */

static void
print_backends(const struct table *table, json_t *listener)
{
	json_t *backends = json_object_get(listener, "backends");
	size_t i;

	for (i = 0; i < json_array_size(backends); i++) {
		json_t *backend = json_array_get(backends, i);
		bool up = strcmp(text(backend, "state"), "up") == 0;
		char span[TABLE_SPAN_MAX];

		fputs("  backend ", table->out);
		put_wide(table, text(backend, "name"), 24);
		begin_colour(table, up ? "good" : "warning");
		put(table, text(backend, "state"));
		end_colour(table);
		if (number(backend, "since") > 0) {
			table_print_span(
			    span, table->now - number(backend, "since"));
			fprintf(table->out, " for %s", span);
		}
		if (is_true(backend, "checked"))
			fputs(", checked", table->out);
		if (number(backend, "errors") > 0)
			fprintf(table->out, ", %lld failed connects",
			    number(backend, "errors"));
		if (!up && json_is_string(json_object_get(backend, "error"))) {
			fputs(", ", table->out);
			put(table, text(backend, "error"));
		}
		fputc('\n', table->out);
	}
}

static void
print_listener(const struct table *table, json_t *listener)
{
	json_t *handshakes = json_object_get(listener, "handshakes");
	json_t *bytes = json_object_get(listener, "bytes");
	json_t *staples = json_object_get(listener, "staples");
	char in[TABLE_SPAN_MAX], out[TABLE_SPAN_MAX];

	put_wide(table, text(listener, "name"), 12);
	fprintf(table->out,
	    "%7lld open  %9lld handshakes  %7lld failed  %7lld stapled  "
	    "%s in  %s out\n",
	    number(listener, "connections"), number(handshakes, "ok"),
	    number(handshakes, "failed"), number(staples, "sent"),
	    amount(number(bytes, "in"), in), amount(number(bytes, "out"), out));
	print_backends(table, listener);
}

/* ---- Certificates ---- */

static int
rank(json_t *certificate)
{
	static const char *const names[] = { "critical", "warning", "notice",
		"good" };
	const char *severity = text(certificate, "severity");
	int i = 0;

	while (i < 4 && strcmp(names[i], severity) != 0)
		i++;
	return i;
}

static int
compare(const void *a, const void *b)
{
	json_t *const *left = a, *const *right = b;
	int order = rank(*left) - rank(*right);

	if (order != 0)
		return order;
	return strcmp(text(*left, "name"), text(*right, "name"));
}

static void
print_certificate(const struct table *table, json_t *certificate)
{
	json_t *staple = json_object_get(certificate, "staple");
	char end[TABLE_SPAN_MAX], staple_end[TABLE_SPAN_MAX],
	    fetch[TABLE_SPAN_MAX];
	const char *severity = text(certificate, "severity");

	begin_colour(table, severity);
	put_wide(table, severity, 8);
	end_colour(table);
	put_wide(table, text(certificate, "name"), 28);
	put_wide(table, until(table, certificate, "not_after", end), 10);
	put_wide(table, text(staple, "state"), 8);
	put_wide(table, until(table, staple, "expires", staple_end), 10);
	put_wide(table, until(table, staple, "next_fetch", fetch), 10);
	put(table, text(certificate, "clients_get"));
	fputc('\n', table->out);
	if (json_is_string(json_object_get(staple, "error"))) {
		fputs("          ", table->out);
		put(table, text(staple, "error"));
		fputc('\n', table->out);
	}
}

static void
print_certificates(const struct table *table, json_t *document)
{
	json_t *list = json_object_get(document, "certificates"), **sorted;
	size_t i, count = json_array_size(list);

	sorted = calloc(count + 1, sizeof(sorted[0]));
	if (sorted == NULL || count == 0) {
		free(sorted);
		return;
	}
	for (i = 0; i < count; i++)
		sorted[i] = json_array_get(list, i);
	qsort(sorted, count, sizeof(sorted[0]), compare);
	fputc('\n', table->out);
	put_wide(table, "", 8);
	put_wide(table, "certificate", 28);
	put_wide(table, "ends in", 10);
	put_wide(table, "staple", 8);
	put_wide(table, "ends in", 10);
	put_wide(table, "fetch in", 10);
	fputs("clients get\n", table->out);
	for (i = 0; i < count; i++)
		print_certificate(table, sorted[i]);
	free(sorted);
}

void
table_print(struct json_t *document, FILE *out, bool colours)
{
	struct table table = {
		.out = out, .colours = colours, .now = number(document, "now")
	};
	json_t *listeners = json_object_get(document, "listeners");
	size_t i;

	print_process(&table, document);
	fputc('\n', out);
	for (i = 0; i < json_array_size(listeners); i++)
		print_listener(&table, json_array_get(listeners, i));
	print_certificates(&table, document);
}
