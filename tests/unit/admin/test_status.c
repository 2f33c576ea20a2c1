/*
 * The document of /status, read back with jansson.
 */
#include "admin/status.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "tests/unit/admin/sample.h"

static json_t *
read_back(struct overview *overview)
{
	size_t len;
	char *text = status_print(overview, &len);
	json_t *document = text ? json_loads(text, 0, NULL) : NULL;

	cr_assert_not_null(document);
	cr_expect_eq(strlen(text), len);
	free(text);
	overview_free(overview);
	return document;
}

static json_t *
item(json_t *document, const char *list, size_t i)
{
	json_t *found = json_array_get(json_object_get(document, list), i);

	cr_assert_not_null(found, "%s %zu", list, i);
	return found;
}

static json_int_t
number(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	cr_assert(json_is_integer(value), "%s", key);
	return json_integer_value(value);
}

static const char *
text_of(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	cr_assert(json_is_string(value), "%s", key);
	return json_string_value(value);
}

static bool
is_null(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	cr_assert_not_null(value, "%s", key);
	return json_is_null(value);
}

Test(status, describes_the_process)
{
	json_t *document = read_back(sample_overview());
	json_t *reload = json_object_get(document, "reload");

	cr_expect_str_eq(text_of(document, "state"), "serving");
	cr_expect(json_is_true(json_object_get(document, "ready")));
	cr_expect_eq(number(document, "now"), SAMPLE_NOW);
	cr_expect_eq(number(reload, "failed"), 1);
	cr_expect(is_null(reload, "last_time"));
	cr_expect(is_null(reload, "last_result"));
	json_decref(document);
}

Test(status, has_the_error_of_a_failed_reload)
{
	struct overview *overview = sample_overview();
	json_t *document, *reload;

	overview->reloads.last_failed = true;
	overview->reloads.last_s = SAMPLE_NOW;
	strcpy(overview->reloads.error, "c.ini:1: \xff wrong\n");
	document = read_back(overview);
	reload = json_object_get(document, "reload");
	cr_expect_str_eq(text_of(reload, "last_result"), "failure");
	cr_expect_eq(number(reload, "last_time"), SAMPLE_NOW);
	cr_expect_not(is_null(reload, "last_error"));
	json_decref(document);
}

/* A path may have any bytes; the rest of the document must not be lost. */
Test(status, replaces_bytes_that_are_no_utf_8)
{
	struct overview *overview = sample_overview();
	json_t *document;

	overview->config_file = "/etc/\xe4.ini";
	overview->listeners[0].name = "\xff";
	overview->certificates[0].file = "/\xc3\xa4.pem";
	overview->certificates[1].host = "\x80";
	document = read_back(overview);
	cr_expect_str_eq(text_of(document, "config"), "/etc/?.ini");
	cr_expect_str_eq(text_of(item(document, "listeners", 0), "name"), "?");
	cr_expect_str_eq(text_of(item(document, "certificates", 0), "file"),
	    "/\xc3\xa4.pem");
	json_decref(document);
}

Test(status, describes_a_listener)
{
	json_t *document = read_back(sample_overview());
	json_t *listener = item(document, "listeners", 0);
	json_t *handshakes = json_object_get(listener, "handshakes");

	cr_expect_str_eq(text_of(listener, "name"), "w\"e\\b");
	cr_expect_eq(number(listener, "connections"), 7);
	cr_expect_eq(number(handshakes, "ok"), 5);
	cr_expect_eq(number(handshakes, "resumed"), 2);
	cr_expect_eq(number(handshakes, "failed"), 1);
	cr_expect_eq(number(json_object_get(listener, "ended"), "done"), 4);
	cr_expect_eq(json_object_size(json_object_get(listener, "ended")), 2);
	cr_expect_str_eq(text_of(item(listener, "backends", 0), "state"), "up");
	cr_expect_str_eq(
	    text_of(item(listener, "backends", 1), "state"), "down");
	cr_expect_str_eq(
	    text_of(item(listener, "backends", 1), "host"), "b.example");
	json_decref(document);
}

Test(status, lists_each_certificate_once_with_its_users)
{
	json_t *document = read_back(sample_overview());
	json_t *first = item(document, "certificates", 0);
	json_t *staple = json_object_get(first, "staple");
	json_t *second = item(document, "certificates", 1);

	cr_expect_eq(
	    json_array_size(json_object_get(document, "certificates")), 2);
	cr_expect_str_eq(text_of(staple, "state"), "good");
	cr_expect_str_eq(text_of(staple, "outcome"), "timeout_connect");
	cr_expect_str_eq(text_of(staple, "error"), "no connection");
	cr_expect_eq(number(json_object_get(staple, "fetches"), "good"), 3);
	cr_expect_str_eq(
	    json_string_value(item(second, "listeners", 1)), "web b.example");
	staple = json_object_get(second, "staple");
	cr_expect_str_eq(text_of(staple, "state"), "none");
	cr_expect(is_null(staple, "this_update"));
	cr_expect(is_null(staple, "error"));
	json_decref(document);
}
