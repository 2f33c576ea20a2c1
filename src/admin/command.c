/*
 * The commands of the admin endpoint.  Main thread, the only one.
 *
 * reload, refresh and upgrade wait until there is a result, because a script
 * wants the exit status: reload and upgrade for the answer of the endpoint,
 * refresh until each certificate has one more attempt in /status.
 */
#include "admin/command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "admin/client.h"
#include "admin/table.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"

enum {
	STATUS_MS = 10 * 1000,
	RELOAD_MS = 610 * 1000,   /* longer than the endpoint waits itself */
	UPGRADE_MS = 7210 * 1000, /* likewise */
	WATCH_MS = 2000,          /* between two tables */
	POLL_MS = 250,
	/* An attempt has ten seconds by default, and so has the least interval
	 * between refreshes. */
	REFRESH_MS = 45 * 1000
};

struct arguments {
	const char *command;
	const char *file;
	const char *certificate; /* of refresh; "": all */
	bool json;
	bool watch;
	const struct config_accept *listen;
};

static enum admin_command_exit
fail(const struct arguments *arguments, const char *text)
{
	fprintf(stderr, "clinch %s: %s\n", arguments->command, text);
	return ADMIN_COMMAND_FAILED;
}

static void
nap(int64_t ms)
{
	const struct timespec time = { .tv_sec = ms / 1000,
		.tv_nsec = (ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

/* ---- status ---- */

/* The document of /status; NULL: the cause was printed. */
static json_t *
fetch_status(const struct arguments *arguments, struct client_answer *answer)
{
	json_error_t why;
	json_t *document;
	struct err err;

	if (!client_request(
		arguments->listen, "GET", "/status", STATUS_MS, answer, &err)) {
		(void)fail(arguments, err.text);
		return NULL;
	}
	document = json_loadb(answer->body, answer->len, 0, &why);
	if (answer->status != 200 || document == NULL) {
		(void)fail(arguments, "the answer is no status of clinch");
		json_decref(document);
		client_answer_free(answer);
		return NULL;
	}
	return document;
}

static bool
print_status(const struct arguments *arguments)
{
	struct client_answer answer;
	json_t *document = fetch_status(arguments, &answer);

	if (document == NULL)
		return false;
	if (arguments->json)
		puts(answer.body);
	else
		table_print(document, stdout, isatty(STDOUT_FILENO));
	json_decref(document);
	client_answer_free(&answer);
	return fflush(stdout) == 0;
}

/* On a terminal each table takes the place of the one before. */
static enum admin_command_exit
run_status(const struct arguments *arguments)
{
	bool clear = isatty(STDOUT_FILENO) && !arguments->json;

	if (!arguments->watch)
		return print_status(arguments) ? ADMIN_COMMAND_DONE
					       : ADMIN_COMMAND_FAILED;
	for (;;) {
		if (clear)
			fputs("\033[H\033[2J", stdout);
		if (!print_status(arguments) && ferror(stdout))
			return ADMIN_COMMAND_FAILED;
		if (!clear)
			putchar('\n');
		nap(WATCH_MS);
	}
}

/* ---- reload, upgrade ---- */

static bool
needs_socket(const struct arguments *arguments)
{
	return !addr_is_unix(&arguments->listen->addr);
}

/* What a POST changes, and the signal that does the same. */
struct change {
	const char *path;
	const char *signal;
	uint32_t timeout_ms;
	const char *refused; /* printed after a refusal; NULL: nothing */
};

/* POST, and print the answer; the change is made if it is 200. */
static enum admin_command_exit
request_change(const struct arguments *arguments, const struct change *change)
{
	enum admin_command_exit status = ADMIN_COMMAND_DONE;
	struct client_answer answer;
	struct err err;

	if (needs_socket(arguments)) {
		err_set(&err,
		    "[admin] listen has no Unix socket, and over TCP the "
		    "endpoint changes nothing: send %s, or add listen = "
		    "unix:PATH",
		    change->signal);
		return fail(arguments, err.text);
	}
	if (!client_request(arguments->listen, "POST", change->path,
		change->timeout_ms, &answer, &err))
		return fail(arguments, err.text);
	if (answer.status != 200)
		status = ADMIN_COMMAND_FAILED;
	fputs(answer.body, status == ADMIN_COMMAND_DONE ? stdout : stderr);
	if (status != ADMIN_COMMAND_DONE && change->refused)
		(void)fail(arguments, change->refused);
	client_answer_free(&answer);
	return status;
}

static enum admin_command_exit
run_reload(const struct arguments *arguments)
{
	return request_change(
	    arguments, &(const struct change){ .path = "/reload",
			   .signal = "SIGHUP",
			   .timeout_ms = RELOAD_MS,
			   .refused = "the old configuration stays" });
}

static enum admin_command_exit
run_upgrade(const struct arguments *arguments)
{
	return request_change(
	    arguments, &(const struct change){ .path = "/upgrade",
			   .signal = "SIGUSR2",
			   .timeout_ms = UPGRADE_MS });
}

/* ---- refresh ---- */

static bool
is_selected(const struct arguments *arguments, json_t *certificate)
{
	const char *wanted = arguments->certificate;
	const char *name = json_string_value(
	    json_object_get(certificate, "name"));
	const char *id = json_string_value(json_object_get(certificate, "id"));
	json_t *staple = json_object_get(certificate, "staple");

	return json_is_true(json_object_get(staple, "wanted")) && name && id &&
	       (wanted[0] == '\0' || strcmp(name, wanted) == 0 ||
		   strncmp(id, wanted, strlen(wanted)) == 0);
}

static json_int_t
count_attempts(json_t *certificate)
{
	json_t *fetches = json_object_get(
	    json_object_get(certificate, "staple"), "fetches");
	json_int_t sum = 0;
	void *at;

	for (at = json_object_iter(fetches); at != NULL;
	     at = json_object_iter_next(fetches, at))
		sum += json_integer_value(json_object_iter_value(at));
	return sum;
}

/* The certificate with that id; NULL: none. */
static json_t *
find_certificate(json_t *document, const char *id)
{
	json_t *list = json_object_get(document, "certificates");
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		json_t *certificate = json_array_get(list, i);
		const char *other = json_string_value(
		    json_object_get(certificate, "id"));

		if (other && strcmp(other, id) == 0)
			return certificate;
	}
	return NULL;
}

/* Print the result of one certificate.  true: the attempt succeeded, and the
 * staple that is held is good. */
static bool
print_result(json_t *certificate)
{
	json_t *staple = json_object_get(certificate, "staple");
	const char *outcome = json_string_value(
	    json_object_get(staple, "outcome"));
	const char *error = json_string_value(json_object_get(staple, "error"));
	const char *state = json_string_value(json_object_get(staple, "state"));

	printf("%s: %s%s%s\n",
	    json_string_value(json_object_get(certificate, "name")),
	    outcome ? outcome : "?", error ? ": " : "", error ? error : "");
	fflush(stdout);
	return error == NULL && state && strcmp(state, "good") == 0;
}

/* What is waited for: id → attempts before. */
static json_t *
list_selected(const struct arguments *arguments, json_t *document)
{
	json_t *list = json_object_get(document, "certificates");
	json_t *selected = json_object();
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		json_t *certificate = json_array_get(list, i);

		if (is_selected(arguments, certificate))
			json_object_set_new(selected,
			    json_string_value(
				json_object_get(certificate, "id")),
			    json_integer(count_attempts(certificate)));
	}
	return selected;
}

/* Print and remove those with another attempt.  false: one of them failed. */
static bool
take_results(json_t *selected, json_t *document)
{
	void *at = json_object_iter(selected), *next;
	json_t *certificate;
	bool fine = true;
	const char *id;

	for (; at != NULL; at = next) {
		next = json_object_iter_next(selected, at);
		id = json_object_iter_key(at);
		certificate = find_certificate(document, id);
		if (certificate &&
		    count_attempts(certificate) <=
			json_integer_value(json_object_iter_value(at)))
			continue;
		if (certificate)
			fine &= print_result(certificate);
		json_object_del(selected, id);
	}
	return fine;
}

static enum admin_command_exit
wait_for_results(const struct arguments *arguments, json_t *selected)
{
	int64_t until_ms = clock_mono_ms() + REFRESH_MS;
	struct client_answer answer;
	bool fine = true;
	json_t *document;

	while (json_object_size(selected) > 0) {
		if (clock_mono_ms() > until_ms)
			return fail(arguments,
			    "some certificates have no result yet; see clinch "
			    "status");
		nap(POLL_MS);
		document = fetch_status(arguments, &answer);
		if (document == NULL)
			return ADMIN_COMMAND_FAILED;
		fine &= take_results(selected, document);
		json_decref(document);
		client_answer_free(&answer);
	}
	return fine ? ADMIN_COMMAND_DONE : ADMIN_COMMAND_FAILED;
}

static enum admin_command_exit
request_refresh(const struct arguments *arguments)
{
	char *target = arguments->certificate[0]
			   ? client_target("/refresh", arguments->certificate)
			   : strdup("/refresh");
	enum admin_command_exit status = ADMIN_COMMAND_DONE;
	struct client_answer answer = { 0 };
	struct err err = { "out of memory" };

	if (target == NULL || !client_request(arguments->listen, "POST", target,
				  STATUS_MS, &answer, &err))
		status = fail(arguments, err.text);
	else if (answer.status != 202)
		status = fail(arguments, answer.body);
	client_answer_free(&answer);
	free(target);
	return status;
}

static enum admin_command_exit
run_refresh(const struct arguments *arguments)
{
	struct client_answer answer;
	enum admin_command_exit status;
	json_t *document, *selected;

	if (needs_socket(arguments))
		return fail(arguments,
		    "[admin] listen has no Unix socket, and over TCP the "
		    "endpoint changes nothing: add listen = unix:PATH");
	document = fetch_status(arguments, &answer);
	if (document == NULL)
		return ADMIN_COMMAND_FAILED;
	selected = list_selected(arguments, document);
	json_decref(document);
	client_answer_free(&answer);
	status = request_refresh(arguments);
	if (status == ADMIN_COMMAND_DONE)
		status = wait_for_results(arguments, selected);
	json_decref(selected);
	return status;
}

/* ---- Arguments ---- */

static const struct {
	const char *word;
	const char *usage;
	enum admin_command_exit (*run)(const struct arguments *arguments);
} commands[] = {
	{ "status", "[-c FILE] [--json] [--watch]", run_status },
	{ "reload", "[-c FILE]", run_reload },
	{ "refresh", "[-c FILE] [CERTIFICATE]", run_refresh },
	{ "upgrade", "[-c FILE]", run_upgrade },
};

static size_t
find_command(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].word, word) == 0)
			break;
	return i;
}

bool
admin_command_is(const char *word)
{
	return find_command(word) < ARRAY_LEN(commands);
}

static bool
parse(struct arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "watch", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	bool is_status = strcmp(arguments->command, "status") == 0;
	bool is_refresh = strcmp(arguments->command, "refresh") == 0;
	int option;

	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'c')
			arguments->file = optarg;
		else if (option == 'j' && is_status)
			arguments->json = true;
		else if (option == 'w' && is_status)
			arguments->watch = true;
		else
			return false;
	}
	if (is_refresh && optind + 1 == argc) {
		arguments->certificate = argv[optind];
		return true;
	}
	return optind == argc;
}

static enum admin_command_exit
run_with(struct arguments *arguments, const struct config *config)
{
	arguments->listen = client_find(config);
	if (arguments->listen == NULL) {
		fprintf(stderr,
		    "clinch %s: %s has no [admin] listen with a fixed address: "
		    "add listen = unix:PATH\n",
		    arguments->command, config->file);
		return ADMIN_COMMAND_USAGE;
	}
	return commands[find_command(arguments->command)].run(arguments);
}

enum admin_command_exit
admin_command_run(int argc, char **argv, const char *file)
{
	struct arguments arguments = {
		.command = argv[0], .file = file, .certificate = ""
	};
	enum admin_command_exit status = ADMIN_COMMAND_USAGE;
	struct config_errors errors = { { NULL, 0 } };
	const struct config *config;

	if (!parse(&arguments, argc, argv)) {
		fprintf(stderr, "usage: clinch %s %s\n", argv[0],
		    commands[find_command(argv[0])].usage);
		return ADMIN_COMMAND_USAGE;
	}
	config = config_load(arguments.file, &errors);
	for (size_t i = 0; i < errors.list.count; i++)
		fprintf(stderr, "%s\n", errors.list.items[i]);
	if (config != NULL)
		status = run_with(&arguments, config);
	config_errors_free(&errors);
	config_unref(config);
	return status;
}
