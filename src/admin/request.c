/*
 * The head of an HTTP request.  Pure; any thread.
 *
 * The parser is our own because no packaged library fits: libmicrohttpd brings
 * GnuTLS, libevent and libev define the same symbols, and llhttp is not in
 * Debian 12.  It reads what the endpoint needs and refuses the rest: two
 * methods, a short path, one query parameter, no body, one request for each
 * connection.  tests/fuzz/request.c is its fuzz target.
 */
#include "admin/request.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* A piece of the head. */
struct piece {
	const char *at;
	size_t len;
};

static bool
piece_is(struct piece piece, const char *word)
{
	return piece.len == strlen(word) &&
	       memcmp(piece.at, word, piece.len) == 0;
}

/* Cut the next line off `rest`, without its end.  false: it is incomplete. */
static bool
cut_line(struct piece *rest, struct piece *line)
{
	const char *end = memchr(rest->at, '\n', rest->len);

	if (end == NULL)
		return false;
	line->at = rest->at;
	line->len = (size_t)(end - rest->at);
	rest->len -= line->len + 1;
	rest->at = end + 1;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* Cut off what precedes the first `delimiter`, or all if there is none. */
static struct piece
cut_at(struct piece *rest, char delimiter)
{
	const char *end = rest->len ? memchr(rest->at, delimiter, rest->len)
				    : NULL;
	struct piece piece = *rest;

	if (end == NULL) {
		rest->at += rest->len;
		rest->len = 0;
		return piece;
	}
	piece.len = (size_t)(end - rest->at);
	rest->at = end + 1;
	rest->len -= piece.len + 1;
	return piece;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* RFC 3986 section 2.1.  false: malformed, too long, or a control character. */
static bool
decode(struct piece from, char *out, size_t max)
{
	size_t i, used = 0;
	int high, low, c;

	for (i = 0; i < from.len; i++) {
		c = (unsigned char)from.at[i];
		if (c == '%') {
			if (from.len - i < 3)
				return false;
			high = hex_digit(from.at[i + 1]);
			low = hex_digit(from.at[i + 2]);
			if (high < 0 || low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c < ' ' || c == 127 || used + 1 >= max)
			return false;
		out[used++] = (char)c;
	}
	out[used] = '\0';
	return true;
}

static bool
parse_query(struct piece query, struct request *request)
{
	while (query.len > 0) {
		struct piece value = cut_at(&query, '&');
		struct piece name = cut_at(&value, '=');

		if (piece_is(name, "certificate") &&
		    !decode(value, request->certificate,
			sizeof(request->certificate)))
			return false;
	}
	return true;
}

/* RFC 9112 section 3. */
static bool
parse_request_line(struct piece line, struct request *request)
{
	struct piece method = cut_at(&line, ' ');
	struct piece target = cut_at(&line, ' ');
	struct piece path = cut_at(&target, '?');

	if (line.len != 8 || memcmp(line.at, "HTTP/1.", 7) != 0 ||
	    method.len == 0 || path.len == 0 || path.at[0] != '/')
		return false;
	request->method = piece_is(method, "GET")    ? REQUEST_GET
			  : piece_is(method, "POST") ? REQUEST_POST
						     : REQUEST_OTHER;
	return decode(path, request->path, sizeof(request->path)) &&
	       parse_query(target, request);
}

static struct piece
trim(struct piece piece)
{
	while (piece.len > 0 && (*piece.at == ' ' || *piece.at == '\t')) {
		piece.at++;
		piece.len--;
	}
	while (piece.len > 0 && (piece.at[piece.len - 1] == ' ' ||
				    piece.at[piece.len - 1] == '\t'))
		piece.len--;
	return piece;
}

/* RFC 9112 section 6. */
static bool
announces_body(struct piece field)
{
	struct piece name = cut_at(&field, ':');
	struct piece value = trim(field);

	if (name.len == 17 &&
	    strncasecmp(name.at, "Transfer-Encoding", 17) == 0)
		return true;
	return name.len == 14 &&
	       strncasecmp(name.at, "Content-Length", 14) == 0 &&
	       !piece_is(value, "0");
}

/* The header fields.  Each line has a name without blanks and a colon. */
static enum request_result
parse_fields(struct piece rest)
{
	bool has_body = false;
	struct piece line, name;

	while (cut_line(&rest, &line)) {
		if (line.len == 0)
			return has_body ? REQUEST_HAS_BODY : REQUEST_DONE;
		if (memchr(line.at, ':', line.len) == NULL)
			return REQUEST_BAD;
		has_body = has_body || announces_body(line);
		name = cut_at(&line, ':');
		if (name.len == 0 || memchr(name.at, ' ', name.len) != NULL)
			return REQUEST_BAD;
	}
	return REQUEST_MORE;
}

enum request_result
request_parse(const char *bytes, size_t len, struct request *request)
{
	struct piece rest = { bytes, len }, line;
	enum request_result result = REQUEST_MORE;

	memset(request, 0, sizeof(*request));
	if (rest.len > REQUEST_HEAD_MAX)
		rest.len = REQUEST_HEAD_MAX;
	if (memchr(rest.at, '\0', rest.len) != NULL)
		return REQUEST_BAD;
	if (cut_line(&rest, &line)) {
		if (!parse_request_line(line, request))
			return REQUEST_BAD;
		result = parse_fields(rest);
	}
	if (result == REQUEST_MORE && len >= REQUEST_HEAD_MAX)
		return REQUEST_TOO_LARGE;
	return result;
}
