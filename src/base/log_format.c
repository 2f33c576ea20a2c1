/*
 * Formatting of one log line.  The thread that logs.  The time is computed here
 * and not by gmtime_r, which takes a lock of libc that all listener threads
 * would contend for.  A field is written whole or not at all: put_fields goes
 * back to where a field began if it does not fit, which keeps a cut line valid
 * JSON.
 */
#include "base/log_format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Room kept for the end of a cut line. */
#define TAIL_MAX sizeof(",\"cut\":1}\n")

/* Each byte of a message may become six. */
_Static_assert(LOG_LINE_MAX > 6 * LOG_MESSAGE_MAX + 256 + TAIL_MAX,
    "a message alone could fill a line");

struct log_line {
	char *out;
	size_t len;
	size_t max;
	bool full; /* something did not fit */
};

static void
put(struct log_line *line, const char *bytes, size_t len)
{
	if (line->full || len > line->max - line->len) {
		line->full = true;
		return;
	}
	memcpy(line->out + line->len, bytes, len);
	line->len += len;
}

static void
put_text(struct log_line *line, const char *text)
{
	put(line, text, strlen(text));
}

static void put_format(struct log_line *line, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* For short pieces only. */
static void
put_format(struct log_line *line, const char *format, ...)
{
	char text[48];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put_text(line, text);
}

/* Days since the epoch to a date, with years that begin in March. */
static void
put_date(struct log_line *line, int64_t days)
{
	int64_t shifted = days + 719468; /* since 0000-03-01 */
	int64_t era = shifted / 146097;  /* 400 years each */
	int64_t day = shifted % 146097;
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t yearday = day - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * yearday + 2) / 153;

	put_format(line, "%04" PRId64 "-%02" PRId64 "-%02" PRId64,
	    year + era * 400 + (month >= 10),
	    month < 10 ? month + 3 : month - 9,
	    yearday - (153 * month + 2) / 5 + 1);
}

/* RFC 3339 §5.6, in UTC. */
static void
put_stamp(struct log_line *line, int64_t wall_ms)
{
	int64_t now = wall_ms > 0 ? wall_ms : 0;
	unsigned ms = (unsigned)(now % 86400000);

	put_date(line, now / 86400000);
	put_format(line, "T%02u:%02u:%02u.%03uZ", ms / 3600000, ms / 60000 % 60,
	    ms / 1000 % 60, ms % 1000);
}

static bool
is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

static bool
needs_quotes(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_plain((unsigned char)text[i]) ||
		    strchr(" \"=", text[i]) != NULL)
			return true;
	}
	return len == 0;
}

/* The letter behind the backslash, for the few bytes that have one. */
static char
short_escape(char byte)
{
	switch (byte) {
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	case '"':
	case '\\':
		return byte;
	default:
		return '\0';
	}
}

static void
put_escaped(struct log_line *line, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (short_escape(text[i]) != '\0')
			put_format(line, "\\%c", short_escape(text[i]));
		else if (is_plain((unsigned char)text[i]))
			put(line, text + i, 1);
		else
			put_format(line, "\\x%02x", (unsigned char)text[i]);
	}
}

/* A message keeps its quotes: only bytes that are not printable are escaped. */
static void
put_words(struct log_line *line, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (is_plain((unsigned char)text[i]))
			put(line, text + i, 1);
		else
			put_escaped(line, text + i, 1);
	}
}

static void
put_value(struct log_line *line, const char *text)
{
	size_t len = strnlen(text, LOG_VALUE_MAX);
	const char *more = text[len] != '\0' ? "..." : "";

	if (!needs_quotes(text, len)) {
		put(line, text, len);
		put_text(line, more);
		return;
	}
	put_text(line, "\"");
	put_escaped(line, text, len);
	put_text(line, more);
	put_text(line, "\"");
}

/* The length of a sequence by its first byte (RFC 3629 §3); 0: not one. */
static size_t
utf8_length(unsigned char first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Take one character off; U+FFFD and one byte if it is not UTF-8. */
static uint32_t
next_character(const char **text, const char *end)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *bytes = (const unsigned char *)*text;
	size_t len = utf8_length(bytes[0]);
	uint32_t value = bytes[0] & (0x7fu >> len);

	*text += 1;
	if (bytes[0] < 0x80)
		return bytes[0];
	if (len == 0 || len > (size_t)(end - (const char *)bytes))
		return 0xfffd;
	for (size_t i = 1; i < len; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0xfffd;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < least[len] || value > 0x10ffff ||
	    (value >= 0xd800 && value <= 0xdfff))
		return 0xfffd;
	*text += len - 1;
	return value;
}

/* RFC 8259 §7. */
static void
put_json_character(struct log_line *line, uint32_t value)
{
	if (value < 0x80 && short_escape((char)value) != '\0')
		put_format(line, "\\%c", short_escape((char)value));
	else if (value < 0x7f && value >= 0x20)
		put_format(line, "%c", (char)value);
	else if (value < 0x10000)
		put_format(line, "\\u%04x", value);
	else
		put_format(line, "\\u%04x\\u%04x",
		    0xd800 + ((value - 0x10000) >> 10),
		    0xdc00 + ((value - 0x10000) & 0x3ff));
}

static void
put_json(struct log_line *line, const char *text, size_t max)
{
	size_t len = strnlen(text, max);
	const char *at = text;

	put_text(line, "\"");
	while (at < text + len)
		put_json_character(line, next_character(&at, text + len));
	put_text(line, text[len] != '\0' ? "...\"" : "\"");
}

static const char *
kind_of(const struct log_event *event)
{
	static const char *const names[] = { "error", "warning", "notice",
		"info", "debug" };

	return event->component == NULL ? "access" : names[event->level];
}

static void
put_text_head(struct log_line *line, const struct log_event *event)
{
	size_t len;

	put_text(line, " ");
	put_text(line, kind_of(event));
	if (event->component != NULL) {
		put_text(line, " ");
		put_text(line, event->component);
	}
	if (event->message == NULL)
		return;
	len = strnlen(event->message, LOG_MESSAGE_MAX);
	put_text(line, " ");
	put_words(line, event->message, len);
	if (event->message[len] != '\0')
		put_text(line, "...");
}

static void
put_json_head(struct log_line *line, const struct log_event *event)
{
	put_text(line, "\",\"level\":\"");
	put_text(line, kind_of(event));
	if (event->component != NULL) {
		put_text(line, "\",\"component\":\"");
		put_text(line, event->component);
	}
	put_text(line, "\"");
	if (event->message == NULL)
		return;
	put_text(line, ",\"message\":");
	put_json(line, event->message, LOG_MESSAGE_MAX);
}

static void
put_field(struct log_line *line, enum log_format format,
    const struct log_field *field)
{
	bool json = format == LOG_JSON;

	put_text(line, json ? ",\"" : " ");
	put_text(line, field->key);
	put_text(line, json ? "\":" : "=");
	if (field->text == NULL)
		put_format(line, "%" PRId64, field->number);
	else if (json)
		put_json(line, field->text, LOG_VALUE_MAX);
	else
		put_value(line, field->text);
}

/* Returns how many fields fitted. */
static size_t
put_fields(struct log_line *line, enum log_format format,
    const struct log_event *event)
{
	for (size_t i = 1; i < event->count; i++) {
		size_t mark = line->len;

		put_field(line, format, &event->fields[i]);
		if (line->full) {
			line->len = mark;
			return i;
		}
	}
	return event->count;
}

size_t
log_line_format(char *out, enum log_format format, int64_t wall_ms,
    const struct log_event *event)
{
	struct log_line line = { .out = out, .max = LOG_LINE_MAX - TAIL_MAX };
	bool json = format == LOG_JSON;

	put_text(&line, json ? "{\"time\":\"" : "");
	put_stamp(&line, wall_ms);
	if (json)
		put_json_head(&line, event);
	else
		put_text_head(&line, event);
	if (put_fields(&line, format, event) < event->count) {
		line.full = false;
		line.max = LOG_LINE_MAX;
		put_text(&line, json ? ",\"cut\":1" : " cut=1");
	}
	line.max = LOG_LINE_MAX;
	put_text(&line, json ? "}\n" : "\n");
	return line.len;
}

const char *
log_line_body(const char *line)
{
	return line[0] == '{' ? line : line + LOG_STAMP_LEN + 1;
}

size_t
log_line_start(const char *lines, size_t at)
{
	while (at > 0 && lines[at - 1] != '\n')
		at--;
	return at;
}

size_t
log_line_count(const char *lines, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += lines[i] == '\n';
	return count;
}
