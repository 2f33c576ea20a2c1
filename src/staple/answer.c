/*
 * Takes in an answer within its bounds.  Staple thread only.  Values are read
 * while the lines go by instead of being kept: of a stranger's 16 KiB we want
 * six numbers.
 */
#include "staple/answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "staple/http.h"

void
staple_answer_init(struct staple_answer *answer, size_t max)
{
	*answer = (struct staple_answer){
		.max = max,
		.max_age_s = -1,
		.expires_s = -1,
	};
}

void
staple_answer_fini(struct staple_answer *answer)
{
	free(answer->location);
	free(answer->body);
	answer->location = NULL;
	answer->body = NULL;
}

/* RFC 9110 15.2: any number of 1xx may come before the answer; so may what a
 * proxy says to CONNECT. */
static void
begin_anew(struct staple_answer *answer)
{
	size_t spent = answer->header_bytes;

	staple_answer_fini(answer);
	staple_answer_init(answer, answer->max);
	answer->header_bytes = spent;
}

/* RFC 9110 5.3: several lines of one name are one list. */
static int64_t
join_max_age(int64_t so_far, int64_t more)
{
	return so_far >= 0 && (more < 0 || so_far < more) ? so_far : more;
}

static bool
is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static bool
is_named(const char *line, size_t name_len, const char *name)
{
	return name_len == strlen(name) &&
	       strncasecmp(line, name, name_len) == 0;
}

static void
read_value(
    struct staple_answer *answer, const char *line, size_t len, int64_t now_s)
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
		answer->right_type = staple_http_is_ocsp(value, len);
	else if (is_named(line, name, "Retry-After"))
		answer->retry_after_s = staple_http_retry_after(
		    value, len, now_s);
	else if (is_named(line, name, "Cache-Control"))
		answer->max_age_s = join_max_age(
		    answer->max_age_s, staple_http_max_age(value, len));
	else if (is_named(line, name, "Age"))
		answer->age_s = staple_http_age(value, len);
	else if (is_named(line, name, "Expires"))
		answer->expires_s = staple_http_expires(value, len, now_s);
	else if (is_named(line, name, "Location") && answer->location == NULL)
		answer->location = strndup(value, len);
}

bool
staple_answer_header(struct staple_answer *answer, int status, const char *line,
    size_t len, int64_t now_s)
{
	answer->header_bytes += len;
	if (answer->header_bytes > STAPLE_HEADERS_MAX) {
		answer->trouble = STAPLE_TROUBLE_SIZE;
		return false;
	}
	if (answer->headed) /* a trailer: nothing we want is allowed there */
		return true;
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
		begin_anew(answer);
	else if (len > 0)
		read_value(answer, line, len, now_s);
	else
		answer->headed = status >= 200;
	/* The page of an error may be endless, and says nothing to us. */
	return !answer->headed || status == 200;
}

bool
staple_answer_body(struct staple_answer *answer, const char *bytes, size_t len,
    int64_t mono_ms)
{
	unsigned char *larger;

	if (len > answer->max - answer->len) {
		answer->trouble = STAPLE_TROUBLE_SIZE;
		return false;
	}
	larger = realloc(answer->body, answer->len + len + 1);
	if (larger == NULL) {
		answer->trouble = STAPLE_TROUBLE_MEMORY;
		return false;
	}
	memcpy(larger + answer->len, bytes, len);
	answer->body = larger;
	answer->len += len;
	answer->heard_ms = mono_ms;
	return true;
}

int64_t
staple_answer_freshness(const struct staple_answer *answer)
{
	if (answer->max_age_s < 0)
		return answer->expires_s;
	return answer->max_age_s > answer->age_s
		   ? answer->max_age_s - answer->age_s
		   : 0;
}
