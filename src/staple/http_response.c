/*
 * One HTTP response, read within its bounds.  Staple thread only.  Header
 * values are parsed as the lines arrive instead of being kept: of 16 KiB only
 * six numbers are needed.
 */
#include "staple/http_response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/attr.h"

/*
 * ---- Header values ----
 *
 * Each value is a span that is parsed from the left.  A value that does not
 * match its grammar to the last byte counts as absent, because a wrong time is
 * worse than the schedule without one.
 */

#define DAY_S (24 * 60 * 60)

struct span {
	const char *at;
	size_t len;
};

static struct span
cut(struct span span, size_t from)
{
	return (struct span){ span.at + from, span.len - from };
}

static bool
is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static struct span
trim(const char *value, size_t len)
{
	struct span span = { value, len };

	while (span.len > 0 && is_blank(span.at[0]))
		span = cut(span, 1);
	while (span.len > 0 && is_blank(span.at[span.len - 1]))
		span.len--;
	return span;
}

static bool
equals(struct span span, const char *word)
{
	return span.len == strlen(word) &&
	       strncasecmp(span.at, word, span.len) == 0;
}

/* RFC 9111 1.2.2: delta-seconds too large to hold are 2^31 or the largest
 * that can be.  -1: not a number. */
static int64_t
seconds(struct span span)
{
	int64_t total = 0;

	if (span.len == 0)
		return -1;
	for (size_t i = 0; i < span.len; i++) {
		if (!is_digit(span.at[i]))
			return -1;
		total = total * 10 + (span.at[i] - '0');
		if (total > INT32_MAX)
			total = INT32_MAX;
	}
	return total;
}

/* ---- Dates, RFC 9110 5.6.7 ---- */

/* a: the name of a day; b: of a month; d, y, h, m, s: one digit of the day,
 * year, hour, minute, second; _: a digit of the day or a space; the rest
 * stands for itself.  Not strptime: that listens to the locale. */
static const char *const date_forms[] = {
	"a, dd b yyyy hh:mm:ss GMT", /* IMF-fixdate */
	"a, dd-b-yy hh:mm:ss GMT",   /* RFC 850 */
	"a b _d hh:mm:ss yyyy",      /* asctime */
};

struct date {
	int day, year, hour, minute, second;
	int month; /* from 0 */
};

static size_t
eat_letters(struct span text)
{
	size_t n = 0;

	while (n < text.len && (text.at[n] | 32) >= 'a' &&
	       (text.at[n] | 32) <= 'z')
		n++;
	return n;
}

static size_t
eat_month(struct span text, int *month)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (*month = 0; *month < 12; ++*month) {
		if (text.len >= 3 &&
		    memcmp(text.at, names + 3 * *month, 3) == 0)
			return 3;
	}
	return 0;
}

static size_t
eat_digit(struct span text, int *number)
{
	if (text.len == 0 || !is_digit(text.at[0]))
		return 0;
	*number = *number * 10 + (text.at[0] - '0');
	return 1;
}

/* How many bytes stand for this letter of the form; 0: it does not fit. */
static size_t
eat(char letter, struct span text, struct date *date)
{
	switch (letter) {
	case 'a':
		return eat_letters(text);
	case 'b':
		return eat_month(text, &date->month);
	case '_':
		return text.len > 0 && text.at[0] == ' '
			   ? 1
			   : eat_digit(text, &date->day);
	case 'd':
		return eat_digit(text, &date->day);
	case 'y':
		return eat_digit(text, &date->year);
	case 'h':
		return eat_digit(text, &date->hour);
	case 'm':
		return eat_digit(text, &date->minute);
	case 's':
		return eat_digit(text, &date->second);
	default:
		return text.len > 0 && text.at[0] == letter;
	}
}

static bool
fits(const char *form, struct span text, struct date *date)
{
	*date = (struct date){ 0 };
	for (; *form != '\0'; form++) {
		size_t n = eat(*form, text, date);

		if (n == 0)
			return false;
		text = cut(text, n);
	}
	return text.len == 0 && date->day >= 1 && date->day <= 31 &&
	       date->hour <= 23 && date->minute <= 59 && date->second <= 60;
}

static int64_t
to_epoch(const struct date *date, int year)
{
	struct tm tm = {
		.tm_year = year - 1900,
		.tm_mon = date->month,
		.tm_mday = date->day,
		.tm_hour = date->hour,
		.tm_min = date->minute,
		.tm_sec = date->second,
	};

	return timegm(&tm);
}

/* RFC 9110 5.6.7: two digits are the last such year that is not more than
 * 50 years ahead. */
static int
whole_year(int year, int64_t now_s)
{
	time_t now = (time_t)now_s;
	struct tm today;
	int latest;

	if (gmtime_r(&now, &today) == NULL)
		return 1900 + year;
	latest = today.tm_year + 1900 + 50;
	year += latest / 100 * 100;
	return year > latest ? year - 100 : year;
}

static bool
read_date(struct span text, int64_t now_s, int64_t *when_s)
{
	struct date date;

	for (size_t i = 0; i < ARRAY_LEN(date_forms); i++) {
		bool is_short = strstr(date_forms[i], "yyyy") == NULL;

		if (!fits(date_forms[i], text, &date))
			continue;
		*when_s = to_epoch(
		    &date, is_short ? whole_year(date.year, now_s) : date.year);
		return true;
	}
	return false;
}

/* ---- Cache-Control, RFC 9111 5.2: a list, values perhaps quoted ---- */

/* The next directive, quotes respected; *rest: what follows its comma. */
static struct span
next_directive(struct span list, struct span *rest)
{
	bool quoted = false;
	size_t n;

	for (n = 0; n < list.len; n++) {
		if (list.at[n] == '"')
			quoted = !quoted;
		else if (quoted && list.at[n] == '\\')
			n++;
		else if (!quoted && list.at[n] == ',')
			break;
	}
	if (n >= list.len) {
		*rest = (struct span){ NULL, 0 };
		return trim(list.at, list.len);
	}
	*rest = cut(list, n + 1);
	return trim(list.at, n);
}

/* max-age=5, and max-age="5" as RFC 9111 5.2 requires to accept. */
static int64_t
read_max_age(struct span directive)
{
	static const char name[] = "max-age=";
	const size_t n = sizeof(name) - 1;

	if (directive.len < n || strncasecmp(directive.at, name, n) != 0)
		return -1;
	directive = cut(directive, n);
	if (directive.len >= 2 && directive.at[0] == '"' &&
	    directive.at[directive.len - 1] == '"')
		directive = (struct span){ directive.at + 1,
			directive.len - 2 };
	return seconds(directive);
}

int64_t
staple_http_max_age(const char *value, size_t len)
{
	struct span rest = { value, len };
	int64_t least = -1;

	while (rest.len > 0) {
		struct span directive = next_directive(rest, &rest);
		int64_t age = read_max_age(directive);

		if (equals(directive, "no-cache") ||
		    equals(directive, "no-store"))
			return 0;
		/* RFC 9111 4.2.1: of two that differ, the more careful. */
		if (age >= 0 && (least < 0 || age < least))
			least = age;
	}
	return least;
}

/* ---- The rest ---- */

int64_t
staple_http_retry_after(const char *value, size_t len, int64_t now_s)
{
	struct span span = trim(value, len);
	int64_t wait = seconds(span), when_s;

	if (wait < 0 && read_date(span, now_s, &when_s))
		wait = when_s - now_s;
	if (wait <= 0)
		return 0;
	return wait < DAY_S ? wait : DAY_S;
}

int64_t
staple_http_age(const char *value, size_t len)
{
	int64_t age = seconds(trim(value, len));

	return age > 0 ? age : 0;
}

int64_t
staple_http_expires(const char *value, size_t len, int64_t now_s)
{
	int64_t when_s;

	if (!read_date(trim(value, len), now_s, &when_s))
		return -1;
	return when_s > now_s ? when_s - now_s : 0;
}

bool
staple_http_is_ocsp(const char *value, size_t len)
{
	const char *end = memchr(value, ';', len);

	return equals(trim(value, end != NULL ? (size_t)(end - value) : len),
	    "application/ocsp-response");
}

/* ---- The response ---- */

void
staple_http_response_init(struct staple_http_response *response, size_t max)
{
	*response = (struct staple_http_response){
		.max = max,
		.max_age_s = -1,
		.expires_s = -1,
	};
}

void
staple_http_response_fini(struct staple_http_response *response)
{
	free(response->location);
	free(response->body);
	response->location = NULL;
	response->body = NULL;
}

/* RFC 9110 15.2: any number of 1xx may come before the response; so may the
 * response of a proxy to CONNECT. */
static void
begin_anew(struct staple_http_response *response)
{
	size_t spent = response->header_bytes;

	staple_http_response_fini(response);
	staple_http_response_init(response, response->max);
	response->header_bytes = spent;
}

/* RFC 9110 5.3: several lines of one name are one list. */
static int64_t
join_max_age(int64_t so_far, int64_t more)
{
	return so_far >= 0 && (more < 0 || so_far < more) ? so_far : more;
}

static bool
is_named(const char *line, size_t name_len, const char *name)
{
	return name_len == strlen(name) &&
	       strncasecmp(line, name, name_len) == 0;
}

static void
read_value(struct staple_http_response *response, const char *line, size_t len,
    int64_t now_s)
{
	const char *colon = memchr(line, ':', len), *value;
	size_t name = colon != NULL ? (size_t)(colon - line) : len;

	if (colon == NULL)
		return;
	value = colon + 1;
	len -= name + 1;
	for (; len > 0 && is_blank(*value); len--)
		value++;
	while (len > 0 && is_blank(value[len - 1]))
		len--;
	if (is_named(line, name, "Content-Type"))
		response->right_type = staple_http_is_ocsp(value, len);
	else if (is_named(line, name, "Retry-After"))
		response->retry_after_s = staple_http_retry_after(
		    value, len, now_s);
	else if (is_named(line, name, "Cache-Control"))
		response->max_age_s = join_max_age(
		    response->max_age_s, staple_http_max_age(value, len));
	else if (is_named(line, name, "Age"))
		response->age_s = staple_http_age(value, len);
	else if (is_named(line, name, "Expires"))
		response->expires_s = staple_http_expires(value, len, now_s);
	else if (is_named(line, name, "Location") && response->location == NULL)
		response->location = strndup(value, len);
}

bool
staple_http_response_header(struct staple_http_response *response, int status,
    const char *line, size_t len, int64_t now_s)
{
	response->header_bytes += len;
	if (response->header_bytes > STAPLE_HEADERS_MAX) {
		response->error = STAPLE_ERROR_SIZE;
		return false;
	}
	if (response
		->headed) /* a trailer: none of our headers is allowed there */
		return true;
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
		begin_anew(response);
	else if (len > 0)
		read_value(response, line, len, now_s);
	else
		response->headed = status >= 200;
	/* The body of an error may be endless and is not used. */
	return !response->headed || status == 200;
}

bool
staple_http_response_body(struct staple_http_response *response,
    const char *bytes, size_t len, int64_t mono_ms)
{
	unsigned char *larger;

	if (len > response->max - response->len) {
		response->error = STAPLE_ERROR_SIZE;
		return false;
	}
	larger = realloc(response->body, response->len + len + 1);
	if (larger == NULL) {
		response->error = STAPLE_ERROR_MEMORY;
		return false;
	}
	memcpy(larger + response->len, bytes, len);
	response->body = larger;
	response->len += len;
	response->last_byte_ms = mono_ms;
	return true;
}

int64_t
staple_http_response_freshness(const struct staple_http_response *response)
{
	if (response->max_age_s < 0)
		return response->expires_s;
	return response->max_age_s > response->age_s
		   ? response->max_age_s - response->age_s
		   : 0;
}
